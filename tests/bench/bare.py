"""The least that any program would have to do: the same calls with aiohttp, the same rows with asyncpg in batches, and nothing else."""

import asyncio
import os
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import asyncpg
import uvloop

from tests.bench.figures import Figures, measured

WIDTH = 32
BATCH = 250

_CALL = """
INSERT INTO call (called_at, operation, method, url, login_id, http_status, latency_seconds, attempt, term)
SELECT $1, each.operation, 'POST', each.operation, each.login_id, 200, 0, 1, 0
FROM unnest($2::text[], $3::uuid[]) AS each (operation, login_id)
"""
_SEEN = """
UPDATE login SET flag = 'on', flag_seen_at = $1, refreshed_at = seen.refreshed_at, routine_at = $1
FROM unnest($2::uuid[], $3::timestamptz[]) AS seen (login_id, refreshed_at)
WHERE login.login_id = seen.login_id
"""

Seen = tuple[UUID, datetime]


class Loop:
    """32 workers, one writer."""

    def __init__(self, session: aiohttp.ClientSession, sql: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._session = session
        self._sql = sql
        self._base = f"/v3/{os.environ['REFRESHD_FLINKS_CUSTOMER_ID']}/BankingServices"
        self._done: list[Seen] = []

    async def run(self) -> int:
        rows = await self._sql.fetch("SELECT login_id FROM login WHERE active")
        waiting = [row["login_id"] for row in rows]
        async with asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(self._work(waiting))
        await self._write()
        return len(rows)

    async def _work(self, waiting: list[UUID]) -> None:
        while waiting:
            login_id = waiting.pop()
            self._done.append((login_id, await self._authorize(login_id)))
            if len(self._done) >= BATCH:
                await self._write()

    async def _authorize(self, login_id: UUID) -> datetime:
        key = {"flinks-auth-key": os.environ["REFRESHD_FLINKS_SECRET_KEY"]}
        async with self._session.post(f"{self._base}/GenerateAuthorizeToken", headers=key) as response:
            token = (await response.json())["Token"]
        body = {"LoginId": str(login_id), "MostRecentCached": True}
        key = {"flinks-auth-key": token}
        async with self._session.post(f"{self._base}/Authorize", json=body, headers=key) as response:
            answer = await response.json()
        return datetime.fromisoformat(answer["Login"]["LastRefresh"][:19]).replace(tzinfo=UTC)

    async def _write(self) -> None:
        done, self._done = self._done, []
        now = datetime(2026, 1, 5, 16, tzinfo=UTC)
        ids = [login_id for login_id, _ in done]
        operations = ["generate_authorize_token"] * len(ids) + ["authorize"] * len(ids)
        async with _writing, self._sql.transaction():
            await self._sql.execute(_CALL, now, operations, [None] * len(ids) + ids)
            await self._sql.execute(_SEEN, now, ids, [refreshed_at for _, refreshed_at in done])


_writing = asyncio.Lock()


async def _run() -> Figures:
    address = os.environ["REFRESHD_FLINKS_BASE_URL"].removesuffix("/v3")
    async with measured() as figures:
        sql = await asyncpg.connect(
            os.environ["REFRESHD_DATABASE_URL"], server_settings={"search_path": "refreshd", "jit": "off"}
        )
        connector = aiohttp.TCPConnector(limit=WIDTH)
        async with aiohttp.ClientSession(address, connector=connector) as session:
            figures.logins = await Loop(session, sql).run()
        await sql.close()
    return figures


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run()).say()
