"""Whether a bank is to blame, or its users: one night's outcomes at an institution, weighed.

Flinks reports on logins. When a bank is down, or changes its login page, hundreds of them fail at once, many with codes that blame their
users (INVALID_PASSWORD); put on the reconnect list, they would be asked in vain. So the outcomes of the latest night are counted by
institution, and what so many share in one night is the institution's doing, until evidence separates.

| the night's outcomes, of logins that were well before it                        | state                 |
|---------------------------------------------------------------------------------|-----------------------|
| Flinks says of more logins that the bank is off than refreshed                  | down                  |
| ten or more failed on the way to the bank, and these are four of five heard of  | down                  |
| ten or more fail anew with a code that blames their user, as many as refreshed  | suspect               |
| fewer than ten heard of                                                         | not enough evidence   |
| anything else                                                                   | up                    |

Where there is not enough evidence a login is judged alone, except that trouble which was proved before outlives the lack of it for a day;
one refreshed login more than failed ones then separates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refreshd.core import codes
from refreshd.core.model import Reaction
from refreshd.core.standing import InstitutionState, Standing

MASS = 10
"""Logins that fail together before they say something about their bank; fewer are chance, and few mails if not."""

RETRYING_SHARE = 0.8
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """So many logins of an institution ended the night alike.

    `refreshed`: well; then code and state say nothing. `fresh`: refreshed in the night before, so that its failure is news.
    """

    institution: str
    refreshed: bool
    code: str | None
    state: str | None
    fresh: bool
    logins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One night at one institution, in logins."""

    refreshed: int = 0
    switched_off: int = 0
    retrying: int = 0
    blaming_users: int = 0

    @property
    def failed(self) -> int:
        return self.switched_off + self.retrying + self.blaming_users

    @property
    def heard(self) -> int:
        """Those whose outcome says something; of the others nobody has heard yet, or they failed before this night."""
        return self.refreshed + self.failed


def tallies(outcomes: Iterable[Outcome]) -> Mapping[str, Tally]:
    """The night by institution."""
    counted: dict[str, Tally] = {}
    for each in outcomes:
        field = _field(each)
        if field is not None:
            before = counted.get(each.institution, Tally())
            counted[each.institution] = replace(before, **{field: getattr(before, field) + each.logins})
    return counted


def _field(outcome: Outcome) -> str | None:
    """Where an outcome counts; one of old, or one that says nothing of bank or user, nowhere."""
    if outcome.refreshed:
        return "refreshed"
    reaction = codes.state_reaction(outcome.state) if outcome.code is None else codes.reaction_of(outcome.code)
    if reaction is Reaction.INSTITUTION_DOWN:
        return "switched_off"
    if outcome.code is not None and codes.normalise(outcome.code) in codes.ON_THE_WAY_TO_THE_BANK:
        return "retrying"
    return "blaming_users" if reaction is Reaction.NEEDS_USER and outcome.fresh else None


def weigh(name: str, before: Standing | None, tally: Tally, *, night: datetime, now: datetime) -> Standing | None:
    """How the institution stands by now; None where nothing is known of it."""
    state = _alone(tally)
    if state is InstitutionState.NOT_ENOUGH_EVIDENCE and before is not None and before.in_trouble:
        if tally.refreshed > tally.failed:
            state = InstitutionState.UP
        elif now - before.proved_at < KEPT:
            return before
    if state is InstitutionState.NOT_ENOUGH_EVIDENCE and not tally.heard:
        return None
    lasts = before is not None and before.state is state
    return Standing(
        institution=name,
        state=state,
        since=before.since if before is not None and lasts else now,
        proved_at=now,
        night=night,
        refreshed=tally.refreshed,
        failed=tally.failed,
        blaming_users=tally.blaming_users,
        probe=before.probe if before is not None and lasts else None,
    )


def _alone(tally: Tally) -> InstitutionState:
    """By this night's outcomes alone: the table above."""
    on_the_way = tally.switched_off + tally.retrying
    if tally.switched_off > tally.refreshed or (on_the_way >= MASS and on_the_way >= RETRYING_SHARE * tally.heard):
        return InstitutionState.DOWN
    if tally.blaming_users >= MASS and tally.blaming_users >= tally.refreshed:
        return InstitutionState.SUSPECT
    return InstitutionState.NOT_ENOUGH_EVIDENCE if tally.heard < MASS else InstitutionState.UP
