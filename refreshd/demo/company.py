"""The company of the demo: Maple Lending, whose application writes its own two tables by plain SQL and knows nothing of refreshd."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from refreshd.ports import Clock
from refreshd.postgres import Connection, connect
from refreshd.simulator import Link
from refreshd.sqlfiles import load_queries

_SQL = load_queries("company")


class Company:
    """Its clients, and the connection that its application holds."""

    def __init__(self, connection: Connection, clock: Clock, links: Sequence[Link]) -> None:
        self.links = tuple(links)
        self._connection = connection
        self._clock = clock
        self._active = {link.client_id: link.active for link in links}

    async def open_books(self) -> None:
        """Write all clients and their logins, in one transaction."""
        await self._write(self.links)

    async def join(self, links: Sequence[Link]) -> None:
        """New clients connect their bank."""
        self.links += tuple(links)
        self._active.update((link.client_id, link.active) for link in links)
        await self._write(links)

    async def _write(self, links: Sequence[Link]) -> None:
        active = {link.client_id: link.active for link in links}
        async with self._connection.transaction():
            await self._say_the_time()
            await self._connection.execute(*_SQL["add_clients"](client_ids=list(active), active=list(active.values())))
            await self._connection.execute(
                *_SQL["link_logins"](
                    client_ids=[link.client_id for link in links],
                    login_ids=[UUID(link.login_id) for link in links],
                )
            )

    async def leave(self, client_ids: Collection[str]) -> None:
        """`UPDATE client SET active = false`, and nothing else."""
        await self._set_active(client_ids, active=False)

    async def come_back(self, client_ids: Collection[str]) -> None:
        """The opposite."""
        await self._set_active(client_ids, active=True)

    async def _set_active(self, client_ids: Collection[str], *, active: bool) -> None:
        await self._say_the_time()
        await self._connection.execute(*_SQL["set_active"](client_ids=list(client_ids), active=active))
        self._active.update(dict.fromkeys(client_ids, active))

    async def _say_the_time(self) -> None:
        await self._connection.fetchval(*_SQL["set_clock"](moment=self._clock.now()))

    def inactive_logins(self) -> frozenset[str]:
        """Logins without an active client, as the company sees it."""
        wanted = {link.login_id for link in self.links if self._active[link.client_id]}
        return frozenset(link.login_id for link in self.links) - wanted

    def sole_clients(self, count: int, *, skip: int = 0) -> list[str]:
        """Active clients with exactly one login that nobody shares."""
        by_client: dict[str, list[str]] = {}
        by_login: dict[str, list[str]] = {}
        for link in self.links:
            by_client.setdefault(link.client_id, []).append(link.login_id)
            by_login.setdefault(link.login_id, []).append(link.client_id)
        alone = (
            client_id
            for client_id, logins in by_client.items()
            if self._active[client_id] and len(logins) == 1 and len(by_login[logins[0]]) == 1
        )
        return list(alone)[skip : skip + count]

    def logins_of(self, client_ids: Collection[str]) -> list[str]:
        """The logins that these clients are linked to."""
        return [link.login_id for link in self.links if link.client_id in client_ids]


@asynccontextmanager
async def application(url: str, schema: str, clock: Clock, links: Sequence[Link]) -> AsyncIterator[Company]:
    """The company's application, connected to the ledger's database with a connection of its own."""
    connection = await connect(url, schema=schema, name="maple lending")
    try:
        yield Company(connection, clock, links)
    finally:
        await connection.close()
