"""What one login's evidence says, before any rule weighs it: when Flinks last spoke, what failed, how old it all is.

Functions of `Evidence` and spans; the verdict is the judge's.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from refreshd.core import codes
from refreshd.core.model import Disposition, Evidence, Flag, Listing, Reaction
from refreshd.core.timing import ELIGIBILITY

DOUBT = timedelta(days=3)
KEEP_ALIVE_WITHIN = ELIGIBILITY - timedelta(days=2)

_REPORT_IS_READ_WITHIN = timedelta(hours=1)


class Failure(NamedTuple):
    """Why the last refresh attempt failed: the vendor's code (or state) and what clears it."""

    code: str
    disposition: Disposition


def observed(evidence: Evidence) -> bool:
    """Whether Flinks ever said how its refresh fares; an answer to a schedule change says nothing of that."""
    return evidence.answer is not None or evidence.listing is not None


def seen_at(evidence: Evidence) -> datetime | None:
    """When Flinks last said anything about the login."""
    times = [
        evidence.answer.answered_at if evidence.answer else None,
        evidence.listing.reported_at if evidence.listing else None,
        evidence.flag_seen_at,
    ]
    return max((each for each in times if each is not None), default=None)


def seen_on_after(evidence: Evidence, moment: datetime) -> bool:
    """Whether Flinks has said, later than `moment`, that the flag is on; standing in the report says so too."""
    flag_on = evidence.flag is Flag.ON and evidence.flag_seen_at is not None and evidence.flag_seen_at > moment
    return flag_on or (evidence.listing is not None and evidence.listing.reported_at > moment)


def off_by_us_at(evidence: Evidence) -> datetime | None:
    """When refreshd last did what has, or may have, left the login off."""
    times = (evidence.confirmed_off_at, evidence.maybe_off_since)
    return max((each for each in times if each is not None), default=None)


def old_when_seen(evidence: Evidence, stale_after: timedelta) -> bool:
    """Whether the last refresh was too old when Flinks last spoke; the age grows only by what we see, not by our own silence."""
    last_seen_at, refreshed_at = seen_at(evidence), evidence.refreshed_at
    return last_seen_at is None or refreshed_at is None or last_seen_at - refreshed_at > stale_after


def is_unobserved(evidence: Evidence, unobserved_after: timedelta, now: datetime) -> bool:
    """Whether Flinks has said nothing about the login for so long that nobody can say how it is; also if it never said anything."""
    silent_since = seen_at(evidence) or evidence.known_since
    return silent_since is not None and now - silent_since >= unobserved_after


def standing_failure(evidence: Evidence, stale_after: timedelta) -> Failure | None:
    """The failure that stands: what spoke last, the answer or the report, decides.

    A 200 on a cached Authorize is no good news by itself: it outdates the report only when it came later and with a fresh refresh.
    """
    answer, listing = evidence.answer, evidence.listing
    answered = _from_code(answer.code) if answer is not None else None
    if listing is None:
        return answered
    if answer is None or answer.answered_at < listing.reported_at:
        return _more_telling(listing, answered)
    if answered is None and old_when_seen(evidence, stale_after):
        return _from_listing(listing)
    return answered


def _more_telling(listing: Listing, answered: Failure | None) -> Failure | None:
    """A report that names only a state says less than the code of an earlier answer, where both ask for the same."""
    listed = _from_listing(listing)
    same = listed is not None and answered is not None and listed.disposition is answered.disposition
    return answered if same and listing.code is None else listed


def _from_listing(listing: Listing) -> Failure | None:
    """`LastRefreshErrorCode` may be null on a failed card; then the state speaks. A null code is not "healthy"."""
    if listing.code is not None:
        return _from_code(listing.code)
    reaction = codes.state_reaction(listing.state)
    return (
        None if reaction is Reaction.OK else Failure(codes.code_of_state(listing.state), codes.disposition_of(reaction))
    )


def _from_code(code: str | None) -> Failure | None:
    reaction = codes.reaction_of(code)
    if code is None or reaction is Reaction.OK:
        return None
    return Failure(codes.normalise(code), codes.disposition_of(reaction))


def blames_the_bank(evidence: Evidence, failure: Failure) -> bool:
    """Whether a failure that heals by itself is the institution's: Flinks says so, or it says so of the institution."""
    if codes.reaction_of(failure.code) is Reaction.INSTITUTION_DOWN:
        return True
    held = evidence.standing is not None and evidence.standing.held
    return held and failure.disposition is Disposition.VENDOR_RETRIES


def spared_until(evidence: Evidence, failure: Failure, now: datetime) -> datetime | None:
    """Until when the user of a login is not asked, because so many of its bank's logins failed in the same night.

    It was well until then, so it gets two nights and the day between them; None where its user is to blame, or nobody.
    """
    bank, until = evidence.standing, _benefit_of_the_doubt(evidence)
    if failure.disposition is not Disposition.NEEDS_CLIENT or bank is None or not bank.in_trouble:
        return None
    return until if until is not None and now < until else None


def _benefit_of_the_doubt(evidence: Evidence) -> datetime | None:
    return None if evidence.refreshed_at is None else evidence.refreshed_at + DOUBT


def is_held(evidence: Evidence, now: datetime) -> bool:
    """Whether the login waits behind all others, because its bank is down and it is not the one that probes.

    Its cached call does not touch the bank, it keeps the login alive: two days before seven are over it is savable again, bank or not.
    """
    bank, called_at = evidence.standing, evidence.cached_call_at
    if bank is None or not bank.held or bank.probe == evidence.login_id:
        return False
    return called_at is not None and now < called_at + KEEP_ALIVE_WITHIN


def lost_at(evidence: Evidence, now: datetime) -> datetime | None:
    """When Flinks gives a savable login up unless a cached call reaches it before: that clock is the one that we can move."""
    called_at = evidence.cached_call_at
    return None if called_at is None or lapsed(evidence, now) else called_at + ELIGIBILITY


def approval_runs(evidence: Evidence, now: datetime) -> bool:
    """Whether the held plan that covers the login is approved at this moment."""
    hold = evidence.hold
    return hold is not None and hold.approved_until is not None and now < hold.approved_until


def lapsed(evidence: Evidence, now: datetime) -> bool:
    """Whether Flinks has given the login up at night: seven days without a good refresh."""
    return evidence.refreshed_at is None or now - evidence.refreshed_at >= ELIGIBILITY


def next_turn(
    evidence: Evidence, stale_after: timedelta, unobserved_after: timedelta, now: datetime
) -> datetime | None:
    """The next moment at which time alone may change an active login's verdict, its lane or its staleness.

    A listing that stays as it is grows newer with each report, and that alone has nobody judged again: so a listed login is judged
    once more when its refresh will have grown too old.
    """
    silent_since, refreshed_at = seen_at(evidence) or evidence.known_since, evidence.refreshed_at
    turns = [
        silent_since + unobserved_after if silent_since else None,
        refreshed_at + stale_after + _REPORT_IS_READ_WITHIN if refreshed_at and evidence.listing else None,
        refreshed_at + ELIGIBILITY if refreshed_at else None,
        *_turns_of_the_bank(evidence),
    ]
    return min((each for each in turns if each is not None and each > now), default=None)


def _turns_of_the_bank(evidence: Evidence) -> list[datetime | None]:
    """When the patience with its institution ends."""
    if evidence.standing is None or not evidence.standing.in_trouble:
        return []
    called_at = evidence.cached_call_at
    return [_benefit_of_the_doubt(evidence), called_at + KEEP_ALIVE_WITHIN if called_at else None]
