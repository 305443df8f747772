"""A fortnight that has been lived through: its Prometheus and its ledger, to ask and to draw."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.fortnight.history import blocks, tell
from tests.fortnight.prometheus import Prometheus, served
from tests.support.documents import document
from tests.support.postgres import PostgresServer

ROLE = "refreshd_dashboards"
_DATABASE = "fortnight"


@dataclass(frozen=True, kw_only=True)
class Lived:
    """`ledger_url`: the database as the fortnight left it, for the role that the dashboards have; `owner_url`: for its owner."""

    prometheus: Prometheus
    ledger_url: str
    owner_url: str


@contextmanager
def lived(server: PostgresServer, place: Path) -> Iterator[Lived]:
    """Serve the fortnight. Whoever of several processes comes first with the same server and place plays it; the others wait and share."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        done = place / "done"
        if not done.exists():
            url = server.lasting(_DATABASE)
            tell(url, place / "scrapes")
            asyncio.run(_grant(url))
            blocks(place / "scrapes")
            done.touch()
    with (
        tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=place) as own,
        served(place / "scrapes" / "blocks", Path(own)) as prometheus,
    ):
        owner_url = server.url_of(_DATABASE)
        yield Lived(prometheus=prometheus, ledger_url=_as_dashboards(owner_url), owner_url=owner_url)


def _as_dashboards(url: str) -> str:
    """The same database with the role of the dashboards."""
    parts = urlsplit(url)
    _, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{ROLE}@{host}"))


async def _grant(url: str) -> None:
    """What docs/dashboards.md tells the owner of the ledger to grant."""
    session = await asyncpg.connect(url)
    try:
        (grants,) = (each.text for each in document("docs/dashboards.md").fences if each.info == "sql dashboards")
        await session.execute(grants)
    finally:
        await session.close()
