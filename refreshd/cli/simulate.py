"""`refreshd simulator`: the simulated Flinks alone, on a port of this machine."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from refreshd import simulator
from refreshd.cli.options import AsJson
from refreshd.cli.screen import Screen
from refreshd.cli.start import run_async
from refreshd.clock import SystemClock
from refreshd.core.errors import DependencyDown, InputRejected, SettingsError
from refreshd.phrases import counted, number, stamp
from refreshd.simulator import http

Logins = Annotated[int, typer.Option(min=0, metavar="N", help="How many logins this Flinks has.")]
Seed = Annotated[int, typer.Option(metavar="N", help="The same seed gives the same logins and the same nights.")]
Host = Annotated[
    str, typer.Option(metavar="HOST", help="Where to listen; other machines are let in only if you say so.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; 0 takes a free one.")]
Scale = Annotated[
    float, typer.Option(min=0, metavar="X", help="Dates pass this many times as fast; 720 makes a day two minutes.")
]
Start = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="The date to begin at, as 2026-01-05T03:30 (UTC); else the real one."),
]
Inactive = Annotated[
    int, typer.Option(min=0, metavar="N", help="How many logins of the written list have no active client.")
]
WriteLedger = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the company's client list, for `refreshd import FILE`.")
]
Fault = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="What goes wrong and how often, as garbage@Authorize:0.1; may be repeated."),
]
RateLimit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Calls answered in any 60 s before TOO_MANY_REQUESTS; else no limit."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """One simulated Flinks, ready to be served; `ledger` is the client list that was written for it."""

    flinks: simulator.Simulator
    clock: simulator.ScaledClock
    population: simulator.Population
    ledger: Path | None


def simulate(  # noqa: PLR0913 - one argument for each option
    *,
    logins: Logins = 500,
    seed: Seed = 7,
    host: Host = "127.0.0.1",
    port: Port = 9878,
    scale: Scale = 1.0,
    start: Start = None,
    inactive: Inactive = 0,
    write_ledger: WriteLedger = None,
    fault: Fault = None,
    rate_limit: RateLimit = None,
    as_json: AsJson = False,
) -> None:
    """Serve a Flinks that behaves as the vendor's documents say.

    It has the scheduled-refresh flag, the nightly job, the report, every code, single-use tokens and faults on demand.
    /_simulator/summary says what it saw. Its keys are public and open nothing else. Ctrl-C ends it with a summary.
    """
    screen = Screen()
    config = simulator.SimulatorConfig(seed=seed, rate_limit_per_minute=rate_limit)
    began = _date(start)
    population = simulator.populate(seed, logins, start=began)
    world = _World(
        flinks=_flinks(config, population, fault or []),
        clock=simulator.ScaledClock(began, scale=scale),
        population=population,
        ledger=write_ledger,
    )
    _write_ledger(world, inactive)
    run_async(_serve(world, host, port, lambda address: _greet(screen, world, address, as_json=as_json)))
    _say_goodbye(screen, simulator.summary(world.flinks), as_json=as_json)


def _date(text: str | None) -> datetime:
    if text is None:
        return SystemClock().now()
    try:
        date = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"--start {text} is no date", hint="write it as 2026-01-05T03:30; UTC is meant") from error
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _flinks(
    config: simulator.SimulatorConfig, population: simulator.Population, faults: list[str]
) -> simulator.Simulator:
    try:
        return simulator.Simulator(config, population, faults=faults)
    except simulator.FaultRuleError as error:
        raise SettingsError(
            f"--fault: {error}", hint="write KIND@OPERATION[:HOW_OFTEN], as hang@any:x2 or code(RETRY_LATER)@Authorize"
        ) from error


def _write_ledger(world: _World, inactive: int) -> None:
    """Write the client list, and tell the simulator who left, so that it notices an Authorize for one of them."""
    if inactive > len(world.population.logins):
        raise SettingsError(f"--inactive {inactive} is more than there are logins", hint="raise --logins or lower it")
    if world.ledger is None:
        if inactive:
            raise SettingsError("--inactive says who left the written list", hint="add --write-ledger FILE")
        return
    try:
        with world.ledger.open("w", newline="", encoding="utf-8") as file:
            left = simulator.population_csv(world.population, file, inactive=inactive)
    except OSError as error:
        raise InputRejected(f"{world.ledger} cannot be written: {error.strerror}") from error
    world.flinks.company_inactive(left)


async def _serve(world: _World, host: str, port: int, started: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    try:
        await http.serve(world.flinks, world.clock, host=host, port=port, stop=stop, started=started)
    except OSError as error:
        raise DependencyDown(
            f"the simulated Flinks cannot listen on {host}:{port}: {error.strerror}", hint="choose another --port"
        ) from error


def _settings(world: _World, address: str) -> dict[str, str]:
    """What points refreshd at this Flinks; its keys are public."""
    config = world.flinks.config
    return {
        "REFRESHD_FLINKS_BASE_URL": f"{address}/v3",
        "REFRESHD_FLINKS_CUSTOMER_ID": config.customer_id,
        "REFRESHD_FLINKS_SECRET_KEY": config.secret_key,
        "REFRESHD_FLINKS_API_KEY": config.api_key,
        "REFRESHD_FLINKS_API_SECRET": config.api_secret,
    }


def _greet(screen: Screen, world: _World, address: str, *, as_json: bool) -> None:
    settings = _settings(world, address)
    if as_json:
        screen.json({"address": address, "logins": len(world.population.logins), "settings": settings})
        screen.flush()
        return
    screen.line(
        f"The simulated Flinks listens on {address}, with {counted(len(world.population.logins), 'login')};"
        f" its date is {stamp(world.clock())}."
    )
    screen.title("Point refreshd at it:")
    for name, value in settings.items():
        screen.line(f"export {name}={value}", indent=2)
    if world.ledger is not None:
        screen.title("Fill the ledger at REFRESHD_DATABASE_URL with its clients:")
        screen.line("refreshd migrate", indent=2)
        screen.line(f"refreshd import {world.ledger}", indent=2)
    screen.title("See what it saw:")
    screen.line(f"curl -s {address}/_simulator/summary", indent=2)
    screen.line()
    screen.flush()
    screen.note("Ctrl-C ends it.")


def _say_goodbye(screen: Screen, summary: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        screen.json(summary)
        return
    calls, bills, breaches = (_counts(summary, name) for name in ("calls", "bills", "breaches"))
    screen.line()
    screen.line(
        f"It answered {counted(calls, 'call')}, at most {number(int(str(summary['most_in_60s'])))} in any 60 s,"
        f" billed {counted(bills, 'login-night')}, and saw {counted(breaches, 'breach', 'breaches')} of the rules."
    )


def _counts(summary: Mapping[str, object], name: str) -> int:
    part = summary[name]
    return int(part["total"]) if isinstance(part, Mapping) else 0
