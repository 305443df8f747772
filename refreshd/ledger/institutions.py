"""How institutions stand. One method for each named query."""

from collections.abc import Sequence
from datetime import datetime

from refreshd.core.institution import Outcome
from refreshd.core.model import Term
from refreshd.core.standing import Standing
from refreshd.crash import Write
from refreshd.fence import fenced
from refreshd.ledger import rows
from refreshd.postgres import Database
from refreshd.sqlfiles import load_queries

MOST_INSTITUTIONS = 5_000
"""Flinks knows a few hundred; a vendor that names each login's bank anew must not fill our memory."""

_WHOLE_BANK_SECONDS = 600.0


class InstitutionQueries:
    """The ledger as `banks` sees it (`banks.BankLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._institution = load_queries("institution")

    async def night_outcomes(
        self, *, night: datetime, fresh_since: datetime, eligible_since: datetime
    ) -> Sequence[Outcome]:
        query = self._institution["outcomes"](
            night=night, fresh_since=fresh_since, eligible_since=eligible_since, limit=MOST_INSTITUTIONS
        )
        return [
            Outcome(
                institution=row["institution"],
                refreshed=row["refreshed"],
                code=row["code"],
                state=row["state"],
                fresh=row["fresh"],
                logins=row["logins"],
            )
            for row in await self._database.rows(query)
        ]

    async def standings(self) -> Sequence[Standing]:
        found = await self._database.rows(self._institution["standings"](limit=MOST_INSTITUTIONS))
        return [rows.standing(row) for row in found]

    async def store_standings(
        self, standings: Sequence[Standing], *, forget: Sequence[str], rejudge: Sequence[str], term: Term
    ) -> None:
        store = self._institution["store"](
            names=[each.institution for each in standings],
            states=[each.state.value for each in standings],
            sinces=[each.since for each in standings],
            proved_ats=[each.proved_at for each in standings],
            nights=[each.night for each in standings],
            refresheds=[each.refreshed for each in standings],
            faileds=[each.failed for each in standings],
            blaming_users=[each.blaming_users for each in standings],
        )
        async with fenced(self._database, term, Write.STORE_STANDINGS) as session:
            await session.execute(*store)
            await session.execute(*self._institution["forget"](names=list(forget)))
            if rejudge:
                again = self._institution["rejudge"](names=list(rejudge))
                await session.execute(*again, timeout=_WHOLE_BANK_SECONDS)

    async def choose_probes(self, *, now: datetime, before: datetime, eligible_since: datetime, term: Term) -> None:
        choose = self._institution["choose_probes"](now=now, before=before, eligible_since=eligible_since)
        async with fenced(self._database, term, Write.CHOOSE_PROBES) as session:
            await session.execute(*choose)
