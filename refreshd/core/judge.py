"""One login's evidence -> one verdict. The chain of rules at the end of this module, read from top to bottom, is the policy.

A rule is a small named function; the first one that has something to say decides. The judge never reads a clock: the same evidence at
the same moment gives the same verdict, and `Verdict.until` says when the mere passing of time may give another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from refreshd.core import codes
from refreshd.core.model import (
    ChangeReason,
    Disposition,
    Evidence,
    Flag,
    Lane,
    Reaction,
    Verdict,
    VerdictName,
)
from refreshd.core.timing import ELIGIBILITY


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePolicy:
    """The spans that turn evidence into verdicts: `REFRESHD_STALE_AFTER`, `_UNOBSERVED_AFTER`, `_REASSERT_AFTER`."""

    stale_after: timedelta
    unobserved_after: timedelta
    reassert_after: timedelta


class _Case(NamedTuple):
    """One login before the judge."""

    evidence: Evidence
    policy: JudgePolicy
    now: datetime


_Rule = Callable[[_Case], Verdict | None]


def judge(evidence: Evidence, policy: JudgePolicy, now: datetime) -> Verdict:
    """The verdict on one login; total, so every row of the ledger is counted exactly once."""
    case = _Case(evidence, policy, now)
    for rule in _ACTIVE if evidence.active else _INACTIVE:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    message = f"the last rule of the chain let {evidence.login_id} pass"
    raise AssertionError(message)


# Inactive logins --------------------------------------------------------------------------------------------------------------------


def _already_off(case: _Case) -> Verdict | None:
    off_at = case.evidence.confirmed_off_at
    if off_at is None or _seen_on_after(case.evidence, off_at):
        return None
    sentence = f"Flinks confirmed at {_at(off_at)} that scheduled refresh is off; nothing is billed"
    return _inactive(case, VerdictName.DISABLED, "confirmed_off", sentence, until=off_at + case.policy.reassert_after)


def _refused_inactive(case: _Case) -> Verdict | None:
    refusal = case.evidence.refusal
    if refusal is None:
        return None
    sentence = f"Flinks refuses this LoginId ({refusal.code}), so nobody can say that it is off; tried once a week, still a leak"
    return _inactive(case, VerdictName.QUARANTINED, "refused", sentence, until=case.evidence.not_before)


def _withheld(case: _Case) -> Verdict | None:
    hold = case.evidence.hold
    if hold is None:
        return None
    if hold.approved_until is not None and case.now < hold.approved_until:
        sentence = f"on at Flinks without an active client; plan {hold.plan_id} is approved until {_at(hold.approved_until)}"
        return _inactive(case, VerdictName.LEAKING, ChangeReason.APPROVED, sentence, until=hold.approved_until)
    sentence = f"would be disabled, but the guard holds plan {hold.plan_id} until somebody approves it"
    return _inactive(case, VerdictName.HELD, "held_by_guard", sentence)


def _came_back(case: _Case) -> Verdict | None:
    off_at = case.evidence.confirmed_off_at
    if off_at is None:
        return None
    sentence = f"was confirmed off at {_at(off_at)}, yet Flinks has it on again: a reconnect can bring the flag back"
    return _inactive(case, VerdictName.LEAKING, "flag_came_back", sentence)


def _leaks(case: _Case) -> Verdict:
    evidence = case.evidence
    since = f"since {_at(evidence.inactive_since)}" if evidence.inactive_since else "any more"
    if evidence.flag is Flag.ON or evidence.listing:
        return _inactive(case, VerdictName.LEAKING, "flag_on", f"no active client {since}, and Flinks says that it is on: billed")
    return _inactive(case, VerdictName.LEAKING, "not_confirmed_off", f"no active client {since}, and Flinks has not confirmed that it is off")


def _inactive(case: _Case, name: VerdictName, reason: str, sentence: str, *, until: datetime | None = None) -> Verdict:
    later = until if until is not None and until > case.now else None
    return Verdict(login_id=case.evidence.login_id, name=name, reason=reason, sentence=sentence, until=later, lane=None)


# Active logins ----------------------------------------------------------------------------------------------------------------------


def _refused_active(case: _Case) -> Verdict | None:
    refusal = case.evidence.refusal
    if refusal is None:
        return None
    sentence = f"Flinks refuses this LoginId ({refusal.code}); tried once a week, an operator must look"
    return _active(case, VerdictName.QUARANTINED, "refused", sentence, lane=Lane.REST, failure=_Failure(refusal.code, Disposition.OPERATOR))


def _never_seen(case: _Case) -> Verdict | None:
    if _seen_at(case.evidence) is not None:
        return None
    return _active(case, VerdictName.UNSEEN, "never_observed", "not observed yet; its first Authorize is due", lane=Lane.SAVABLE)


def _off_by_us(case: _Case) -> Verdict | None:
    off_at = case.evidence.confirmed_off_at
    if off_at is None or _seen_on_after(case.evidence, off_at):
        return None
    sentence = f"refreshd disabled it at {_at(off_at)}, and a client of it is active again: to be enabled"
    return _active(case, VerdictName.DRIFTED, ChangeReason.DISABLED_BY_REFRESHD, sentence, lane=Lane.REST)


def _off_by_others(case: _Case) -> Verdict | None:
    if case.evidence.flag is not Flag.OFF:
        return None
    sentence = "scheduled refresh is off at Flinks although a client wants it; refreshd did not disable it, so somebody else did"
    return _active(case, VerdictName.DRIFTED, "off_at_flinks", sentence, lane=Lane.REST)


class _Failure(NamedTuple):
    """Why the last refresh attempt failed: the vendor's code (or state) and what clears it."""

    code: str
    disposition: Disposition


def _needs_reconnect(case: _Case) -> Verdict | None:
    failure = _failure(case)
    if failure is None or failure.disposition is not Disposition.NEEDS_CLIENT:
        return None
    sentence = f"the last refresh failed with {failure.code}: the user must connect again through Flinks Connect"
    return _active(case, VerdictName.RECONNECT, "needs_user", sentence, lane=Lane.REST, failure=failure)


def _needs_operator(case: _Case) -> Verdict | None:
    failure = _failure(case)
    if failure is None or failure.disposition is not Disposition.OPERATOR:
        return None
    sentence = f"the last refresh failed with {failure.code}, which neither time nor the user mends; an operator must look"
    return _active(case, VerdictName.QUARANTINED, "permanent_code", sentence, lane=Lane.REST, failure=failure)


def _failing(case: _Case) -> Verdict | None:
    failure = _failure(case)
    if failure is None:
        return None
    if failure.disposition is Disposition.UNKNOWN:
        sentence = f"the last refresh failed with {failure.code}, a code nobody knows; tried again daily"
        return _active(case, VerdictName.FAILED, "unknown_code", sentence, lane=_lane(case), failure=failure)
    sentence = f"the last refresh failed with {failure.code}, which heals by itself; Flinks tries again at night"
    return _active(case, VerdictName.FAILED, "vendor_retries", sentence, lane=_lane(case), failure=failure)


def _gone_quiet(case: _Case) -> Verdict | None:
    seen_at = _seen_at(case.evidence)
    if seen_at is None or not _unobserved(case):
        return None
    sentence = f"nothing was heard of it since {_at(seen_at)}, so nobody can say that it still refreshes"
    return _active(case, VerdictName.STALE, "unobserved", sentence, lane=_lane(case))


def _too_old(case: _Case) -> Verdict | None:
    if not _old_when_seen(case):
        return None
    refreshed_at = case.evidence.refreshed_at
    if refreshed_at is None:
        return _active(case, VerdictName.STALE, "never_refreshed", "no error, yet Flinks knows of no refresh at all", lane=_lane(case))
    reason = "ineligible" if case.evidence.listing else "too_old"
    sentence = f"no error is known, yet the last refresh is of {_at(refreshed_at)}"
    return _active(case, VerdictName.STALE, reason, sentence, lane=_lane(case))


def _is_fresh(case: _Case) -> Verdict:
    refreshed_at = case.evidence.refreshed_at
    when = _at(refreshed_at) if refreshed_at else "never"
    return _active(case, VerdictName.FRESH, "refreshed", f"refreshed at {when}", lane=Lane.SAVABLE)


def _active(
    case: _Case, name: VerdictName, reason: str, sentence: str, *, lane: Lane, failure: _Failure | None = None
) -> Verdict:
    return Verdict(
        login_id=case.evidence.login_id,
        name=name,
        reason=reason,
        sentence=sentence,
        until=_next_turn(case),
        lane=lane,
        stale=_unobserved(case) or (_seen_at(case.evidence) is not None and _old_when_seen(case)),
        error_code=failure.code if failure else None,
        disposition=failure.disposition if failure else None,
    )


# What the evidence says -------------------------------------------------------------------------------------------------------------


def _seen_at(evidence: Evidence) -> datetime | None:
    """When Flinks last said anything about the login."""
    times = [
        evidence.answer.answered_at if evidence.answer else None,
        evidence.listing.reported_at if evidence.listing else None,
        evidence.flag_seen_at,
    ]
    return max((each for each in times if each is not None), default=None)


def _seen_on_after(evidence: Evidence, moment: datetime) -> bool:
    """Whether Flinks has said, later than `moment`, that the flag is on; standing in the report says so too."""
    flag_on = evidence.flag is Flag.ON and evidence.flag_seen_at is not None and evidence.flag_seen_at > moment
    return flag_on or (evidence.listing is not None and evidence.listing.reported_at > moment)


def _old_when_seen(case: _Case) -> bool:
    """Whether the last refresh was too old when Flinks last spoke; the age grows only by what we see, not by our own silence."""
    seen_at, refreshed_at = _seen_at(case.evidence), case.evidence.refreshed_at
    return seen_at is None or refreshed_at is None or seen_at - refreshed_at > case.policy.stale_after


def _unobserved(case: _Case) -> bool:
    seen_at = _seen_at(case.evidence)
    return seen_at is not None and case.now - seen_at >= case.policy.unobserved_after


def _failure(case: _Case) -> _Failure | None:
    """The failure that stands: the newest answer's, else the report's while the answer does not outdate it.

    A 200 on a cached Authorize is no good news by itself; it outdates the report only when it came later and with a fresh refresh.
    """
    answer, listing = case.evidence.answer, case.evidence.listing
    if answer is not None and answer.code is not None and (listing is None or answer.answered_at >= listing.reported_at):
        return _from_code(answer.code)
    if listing is not None and not _outdated(case):
        return _from_listing(listing.code, listing.state)
    return _from_code(answer.code) if answer is not None and answer.code is not None else None


def _outdated(case: _Case) -> bool:
    answer, listing = case.evidence.answer, case.evidence.listing
    later = answer is not None and listing is not None and answer.answered_at >= listing.reported_at
    return later and not _old_when_seen(case)


def _from_code(code: str) -> _Failure | None:
    reaction = codes.reaction_of(code)
    return None if reaction is Reaction.OK else _Failure(codes.normalise(code), codes.disposition_of(reaction))


def _from_listing(code: str | None, state: str | None) -> _Failure | None:
    """`LastRefreshErrorCode` may be null on a failed card; then the state speaks. A null code is not "healthy"."""
    if code is not None:
        return _from_code(code)
    reaction = codes.reaction_of_state(state)
    return None if reaction is Reaction.OK else _Failure(codes.normalise(state or "NONE"), codes.disposition_of(reaction))


def _lapsed(case: _Case) -> bool:
    """Whether Flinks has given the login up at night: seven days without a good refresh."""
    refreshed_at = case.evidence.refreshed_at
    return refreshed_at is None or case.now - refreshed_at >= ELIGIBILITY


def _lane(case: _Case) -> Lane:
    return Lane.REST if _lapsed(case) else Lane.SAVABLE


def _next_turn(case: _Case) -> datetime | None:
    """The next moment at which time alone may change the verdict, its lane or its staleness."""
    seen_at, refreshed_at = _seen_at(case.evidence), case.evidence.refreshed_at
    turns = [
        seen_at + case.policy.unobserved_after if seen_at else None,
        refreshed_at + ELIGIBILITY if refreshed_at else None,
    ]
    return min((each for each in turns if each is not None and each > case.now), default=None)


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


_INACTIVE: tuple[_Rule, ...] = (
    _already_off,
    _refused_inactive,
    _withheld,
    _came_back,
    _leaks,
)

_ACTIVE: tuple[_Rule, ...] = (
    _refused_active,
    _never_seen,
    _off_by_us,
    _off_by_others,
    _needs_reconnect,
    _needs_operator,
    _failing,
    _gone_quiet,
    _too_old,
    _is_fresh,
)
