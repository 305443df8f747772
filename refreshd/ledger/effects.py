"""What finished conversations did, stored: one statement for each kind of effect, each login once in it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from refreshd.core.effects import AccountData, ChangeFailed, Confirmed, Deferral, Effect, Refused, Sighting
from refreshd.core.model import Change, Term
from refreshd.ledger.rows import of_kind, storable
from refreshd.postgres import Session, Statement
from refreshd.sqlfiles import load_queries


class Effects:
    """The statements of `effect.sql`, filled from effects."""

    def __init__(self) -> None:
        self._queries = load_queries("effect")
        self._canary = load_queries("canary")

    async def store(self, session: Session, effects: Sequence[Effect], *, term: Term) -> None:
        """Where a login has several effects, a later one is stored after an earlier one.

        Plans are locked before logins, as by whoever decides about a plan.
        """
        if refusals := of_kind(Refused, effects):
            await session.execute(*self._queries["lock_plans"](login_ids=[each.login_id for each in refusals]))
        for turn in _turns(effects):
            for statement in self._statements(turn, term):
                await session.execute(*statement)

    def _statements(self, turn: Sequence[Effect], term: Term) -> Iterator[Statement]:
        if sightings := of_kind(Sighting, turn):
            yield self._sightings(sightings)
        if deferrals := of_kind(Deferral, turn):
            yield self._deferrals(deferrals)
        if refusals := of_kind(Refused, turn):
            yield self._refusals(refusals)
        yield from self._changes(of_kind(Confirmed, turn), of_kind(ChangeFailed, turn), term)
        if fetched := of_kind(AccountData, turn):
            yield self._account_data(fetched)

    def _changes(
        self, confirmed: Sequence[Confirmed], failures: Sequence[ChangeFailed], term: Term
    ) -> Iterator[Statement]:
        """The canaries first: what follows closes the intents, which tell of which plan they are."""
        odd = [each for each in failures if each.unexpected]
        if confirmed or odd:
            yield self._canaries(confirmed, odd)
        if off := [each for each in confirmed if each.change is Change.DISABLE]:
            yield self._confirmations("confirmed_off", off, term)
        if on := [each for each in confirmed if each.change is Change.ENABLE]:
            yield self._confirmations("confirmed_on", on, term)
        if failures:
            yield self._failed_changes(failures, term)

    def _canaries(self, confirmed: Sequence[Confirmed], odd: Sequence[ChangeFailed]) -> Statement:
        answered: tuple[Confirmed | ChangeFailed, ...] = (*confirmed, *odd)
        return self._canary["answered"](
            login_ids=[each.login_id for each in answered],
            changes=[each.change.value for each in answered],
            answers=["expected"] * len(confirmed) + ["unexpected"] * len(odd),
            codes=[None] * len(confirmed) + [storable(each.code) for each in odd],
            details=[None] * len(confirmed) + [storable(each.error) for each in odd],
            answered_ats=[*(each.confirmed_at for each in confirmed), *(each.failed_at for each in odd)],
        )

    def _sightings(self, sightings: Sequence[Sighting]) -> Statement:
        return self._queries["sightings"](
            login_ids=[each.login_id for each in sightings],
            seen_ats=[each.seen_at for each in sightings],
            flags=[each.flag.value for each in sightings],
            refreshed_ats=[each.refreshed_at for each in sightings],
            institutions=[storable(each.institution) for each in sightings],
            codes=[storable(each.code) for each in sightings],
            lives=[each.live for each in sightings],
            routine_dones=[each.routine_done for each in sightings],
        )

    def _deferrals(self, deferrals: Sequence[Deferral]) -> Statement:
        return self._queries["deferrals"](
            login_ids=[each.login_id for each in deferrals],
            attempts=[each.attempts for each in deferrals],
            not_befores=[each.not_before for each in deferrals],
        )

    def _refusals(self, refusals: Sequence[Refused]) -> Statement:
        return self._queries["refusals"](
            login_ids=[each.login_id for each in refusals],
            refused_ats=[each.refused_at for each in refusals],
            codes=[storable(each.code) for each in refusals],
            not_befores=[each.not_before for each in refusals],
        )

    def _confirmations(self, query: str, confirmations: Sequence[Confirmed], term: Term) -> Statement:
        return self._queries[query](
            login_ids=[each.login_id for each in confirmations],
            confirmed_ats=[each.confirmed_at for each in confirmations],
            term=term,
        )

    def _failed_changes(self, failures: Sequence[ChangeFailed], term: Term) -> Statement:
        return self._queries["failed_changes"](
            login_ids=[each.login_id for each in failures],
            changes=[each.change.value for each in failures],
            failed_ats=[each.failed_at for each in failures],
            errors=[storable(each.error) for each in failures],
            codes=[storable(each.code) for each in failures],
            attempts=[each.attempts for each in failures],
            not_befores=[each.not_before for each in failures],
            overs=[each.over for each in failures],
            term=term,
        )

    def _account_data(self, fetched: Sequence[AccountData]) -> Statement:
        return self._queries["account_data"](
            login_ids=[each.login_id for each in fetched],
            refreshed_ats=[each.refreshed_at for each in fetched],
            fetched_ats=[each.fetched_at for each in fetched],
            depths=[each.depth.value for each in fetched],
            bodies=[each.body.decode("utf-8", "replace").replace("\x00", "") for each in fetched],
        )


def _turns(effects: Sequence[Effect]) -> Iterator[Sequence[Effect]]:
    """The first effect of each login, then the second of each, and so on."""
    seen: Counter[object] = Counter()
    turns: list[list[Effect]] = []
    for each in effects:
        if seen[each.login_id] == len(turns):
            turns.append([])
        turns[seen[each.login_id]].append(each)
        seen[each.login_id] += 1
    yield from turns
