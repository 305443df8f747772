"""The rate in force and the stopped credentials, as they outlive a process. One method for each named query."""

from collections.abc import Sequence

from refreshd.core.model import Credential, Term
from refreshd.crash import Write
from refreshd.fence import fenced
from refreshd.postgres import Database
from refreshd.restraint import Stop
from refreshd.sqlfiles import load_queries

_SETTINGS = "settings"


class RestraintQueries:
    """The ledger as `restraint` sees it (`restraint.RestraintLedger`), and the rate for people to read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._restraint = load_queries("restraint")

    async def keep_rate(self, rate: int | None, *, rest_seconds: float, term: Term) -> None:
        async with fenced(self._database, term, Write.KEEP_RATE) as session:
            await session.execute(*self._restraint["keep_rate"](rate=rate, rest_seconds=rest_seconds))

    async def rate_in_force(self) -> int | None:
        row = await self._database.row(self._restraint["rate_in_force"]())
        return None if row is None else row["rate_in_force"]

    async def stops(self) -> Sequence[Stop]:
        return [
            Stop(
                credential=None if row["credential"] == _SETTINGS else Credential(row["credential"]),
                fingerprint=row["fingerprint"],
                rest_seconds=row["rest_seconds"],
            )
            for row in await self._database.rows(self._restraint["stops"]())
        ]

    async def stop(self, credential: Credential | None, fingerprint: str, *, rest_seconds: float, term: Term) -> None:
        stop = self._restraint["stop"](
            credential=credential or _SETTINGS, fingerprint=fingerprint, rest_seconds=rest_seconds
        )
        async with fenced(self._database, term, Write.STOP_CREDENTIAL) as session:
            await session.execute(*stop)

    async def release(self, credential: Credential | None, *, term: Term) -> None:
        async with fenced(self._database, term, Write.RELEASE_CREDENTIAL) as session:
            await session.execute(*self._restraint["release"](credential=credential or _SETTINGS))
