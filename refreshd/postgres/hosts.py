"""Several hosts in one URL (`postgresql://user@one,two/ledger`): whichever takes writes is ours, as after a failover.

asyncpg tries one host after the other under one time limit, so a host that has gone silent would hide all that stand behind it. Here
the next one is tried as soon as the one before it failed, or kept us waiting for a moment.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg

HEAD_START_SECONDS = 0.3
"""How long a host may take before the next one is tried beside it: a round trip to another region takes less."""

_PORT = 5432

Host: TypeAlias = tuple[str, int]
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_Failure: TypeAlias = asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError | OSError
_Outcome: TypeAlias = "asyncpg.Connection[asyncpg.Record] | _Failure"
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def dial(dsn: str | None = None, **options: Any) -> _Connection:  # noqa: ANN401 # what asyncpg.connect takes
    """As asyncpg.connect. Of several hosts one that takes writes, unless the URL says otherwise by `target_session_attrs`."""
    hosts = hosts_of(dsn or "")
    if dsn is None or len(hosts) <= 1:
        return await asyncpg.connect(dsn, **options)
    if "target_session_attrs" not in parse_qs(urlsplit(dsn).query):
        options["target_session_attrs"] = "read-write"
    return await _first(dsn, hosts, options)


def hosts_of(url: str) -> list[Host]:
    """The hosts of a URL, in its order, each with its port."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    named = parts.netloc.rpartition("@")[2] or ",".join(query.get("host", []))
    ports = ",".join(query.get("port", [])).split(",")
    each = [host for host in named.split(",") if host]
    if len(ports) != len(each):
        ports = ports[:1] * len(each)
    return [_host(host, int(port or _PORT)) for host, port in zip(each, ports, strict=True)]


def _host(text: str, port: int) -> Host:
    """`host`, `host:port`, `[::1]:port`, or the directory of a Unix socket."""
    name, colon, own_port = text.rpartition(":")
    if text.startswith("/") or not colon or "]" in own_port:
        return text.strip("[]"), port
    return name.strip("[]"), int(own_port)


async def _first(url: str, hosts: Sequence[Host], options: dict[str, Any]) -> _Connection:
    """The first connection that comes about; the others are given up. Raises what says most about the failure of all."""
    pending: set[asyncio.Task[_Outcome]] = set()
    begun: list[asyncio.Task[_Outcome]] = []
    chosen: _Connection | None = None
    waiting = list(hosts)
    async with asyncio.TaskGroup() as group:
        while chosen is None and (waiting or pending):
            if waiting:
                host, port = waiting.pop(0)
                begun.append(group.create_task(_try(url, host, port, options)))
                pending.add(begun[-1])
            done, pending = await asyncio.wait(
                pending, timeout=HEAD_START_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            chosen = next((each for task in done if isinstance(each := task.result(), asyncpg.Connection)), None)
        for task in pending:
            task.cancel()
    outcomes = [task.result() for task in begun if not task.cancelled()]
    for each in outcomes:
        if isinstance(each, asyncpg.Connection) and each is not chosen:
            each.terminate()
    if chosen is None:
        raise _telling([each for each in outcomes if isinstance(each, Exception)])
    return chosen


async def _try(url: str, host: str, port: int, options: dict[str, Any]) -> _Outcome:
    try:
        connection: _Connection = await asyncpg.connect(url, host=host, port=port, **options)
    except _FAILURES as error:
        return error
    return connection


def _telling(failures: Sequence[_Failure]) -> _Failure:
    """What a server said is worth more than that another one is not there."""
    said = [each for each in failures if isinstance(each, asyncpg.PostgresError)]
    matched = [each for each in failures if isinstance(each, asyncpg.InternalClientError)]
    return (said or matched or list(failures))[0]
