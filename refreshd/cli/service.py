"""`refreshd run`, `once` and `demo`: the commands that work rather than tell."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from refreshd import phrases, policies
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen
from refreshd.cli.session import full_settings, opened
from refreshd.cli.shapes import pause_as_json
from refreshd.cli.start import run_async
from refreshd.core import timing
from refreshd.core.conversation import Kind
from refreshd.core.errors import DependencyDown, HeldByGuard, RefreshdError
from refreshd.daemon import Daemon
from refreshd.dispatch import Settled
from refreshd.engine import Drained
from refreshd.logs import configure_logging
from refreshd.once import OnceResult, run_once
from refreshd.orders import Orders
from refreshd.overview import said_of_pause
from refreshd.settings import LogFormat, Settings, load_settings

_FAILURES = 1

Keep = Annotated[
    bool,
    typer.Option("--keep", metavar="", help="Leave everything running at the end (or DEMO_KEEP=1); Ctrl-C ends it."),
]


def run(*, config: Config = None) -> None:
    """Run the daemon: passes, the daily routine, metrics.

    It serves metrics, probes and a page on REFRESHD_LISTEN. One refreshd leads a ledger; another one waits as a standby. SIGTERM
    and Ctrl-C let calls in flight end within REFRESHD_GRACE_SECONDS, a second one cuts them off; exit 0, or 1 where calls were cut
    off (nothing is lost by it). SIGHUP reads the settings anew and works by them, or keeps the old ones and says why. Logs go to
    standard error, as JSON unless that is a terminal.
    """
    settings = full_settings(config)
    _configure_logging(settings, logging.INFO)
    drained = run_async(_serve(settings, config), fast=True)
    if drained is not None and drained.cut_off:
        raise typer.Exit(_FAILURES)


async def _serve(settings: Settings, config: Path | None) -> Drained | None:
    orders, loop = Orders(), asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, orders.ask_to_stop)
    loop.add_signal_handler(signal.SIGHUP, orders.ask_to_reload)
    return await Daemon(settings, read_settings=lambda: load_settings(require_flinks=True, config=config)).run(orders)


def once(*, config: Config = None, as_json: AsJson = False) -> None:
    """Work until nothing is due, then stop.

    Passes, schedule changes, and the routine now instead of at its hour. Inside the vendor's window (04:00 to 08:00 UTC) the
    authorizes are skipped. Exits 3 when a plan waits for approval or vendor writes are paused, 1 when some work was put off after
    trouble, 4 when Flinks refuses our keys or another refreshd leads.
    """
    screen = Screen()
    settings = full_settings(config)
    result = run_async(_once(screen, settings), fast=True)
    if as_json:
        screen.json(_as_json(result))
    else:
        _show(screen, result)
    _judge(result)


async def _once(screen: Screen, settings: Settings) -> OnceResult:
    due = await _routine_due(settings)
    with screen.progress_of_steps() as progress:
        _configure_logging(settings, logging.WARNING if screen.is_terminal else logging.INFO)
        routine = progress.add_task("routine", total=due or None)
        return await run_once(settings, on_settled=lambda settled: _advance(progress, routine, settled))


async def _routine_due(settings: Settings) -> int:
    """How many logins the routine will go through, as far as anybody can know before the first pass."""
    async with opened(settings) as here:
        if timing.in_vendor_window(here.now):
            return 0
        if not await here.ledger.passes(limit=1):
            return (await here.ledger.plan_totals(now=here.now)).active
        began = policies.agenda(settings, at_once=True).routine_start(here.now)
        return sum((await here.ledger.routine_due(began)).values())


def _advance(progress: Progress, routine: TaskID, settled: Settled) -> None:
    if settled.conversation.kind is Kind.ROUTINE and settled.turn.following is None:
        progress.advance(routine)


def _show(screen: Screen, result: OnceResult) -> None:
    screen.line(
        f"Nothing is due any more, after {phrases.counted(result.passes, 'pass', 'passes')}"
        f" and {phrases.counted(result.calls, 'call')}."
    )
    screen.facts(
        [
            ("schedule changes confirmed", phrases.number(result.confirmed)),
            ("put off after trouble", phrases.number(result.failures)),
            ("held by the guard", phrases.number(result.held)),
        ]
    )
    if result.in_vendor_window:
        screen.line("This is the vendor's window (04:00 to 08:00 UTC): the authorizes were skipped.", style="yellow")


def _judge(result: OnceResult) -> None:
    """The exit code, worst first, and what to do about it."""
    if result.breaker_open:
        raise DependencyDown(
            "Flinks does not accept our settings, so some calls were stopped", hint="run `refreshd doctor`"
        )
    if result.held:
        raise HeldByGuard(
            f"the guard holds {phrases.counted(result.held, 'login')} back; all else was done",
            hint="`refreshd plans` says why; `refreshd approve PLAN_ID` lets a plan go",
        )
    if result.pause is not None:
        raise HeldByGuard(
            f"{said_of_pause(result.pause)}; all else was done", hint='`refreshd resume --reason "..."` lets them go on'
        )
    if result.failures:
        raise _SomeFailed(
            f"{phrases.counted(result.failures, 'piece')} of work could not be done now; each is tried again by itself",
            hint="the log names each; `refreshd logins --verdict failed` and `refreshd explain LOGIN_ID` say why",
        )


class _SomeFailed(RefreshdError):
    """Done, with failures."""

    exit_code = _FAILURES


def demo(*, keep: Keep = False) -> None:
    """Live through a company's day in two minutes.

    A real Postgres, a simulated Flinks, the real daemon. Needs no settings and touches nothing of yours. It prints what to look
    at, and a summary at the end.
    """
    from refreshd.demo import run_demo  # noqa: PLC0415 - only this command needs it and its server

    configure_logging(level=logging.WARNING)
    stay = keep or os.environ.get("DEMO_KEEP") == "1"
    try:
        code = run_async(_until_told_to_stop(run_demo(keep=stay)), fast=True)
    except asyncio.CancelledError as stopped:
        raise KeyboardInterrupt from stopped
    if code:
        raise typer.Exit(code)


async def _until_told_to_stop(work: Coroutine[object, object, int]) -> int:
    """SIGTERM ends the work as Ctrl-C does, so that its server and its directory do not outlive it; a job in the background too."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        if task is not None:
            loop.add_signal_handler(sign, task.cancel)
    return await work


def _configure_logging(settings: Settings, level: int) -> None:
    """`level` where the operator has named none."""
    form = settings.log_format
    if settings.log_level is not None:
        level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    configure_logging(as_json=None if form is None else form is LogFormat.JSON, level=level)


def _as_json(result: OnceResult) -> dict[str, object]:
    return {
        "passes": result.passes,
        "calls": result.calls,
        "confirmed": result.confirmed,
        "failures": result.failures,
        "held": result.held,
        "breaker_open": result.breaker_open,
        "in_vendor_window": result.in_vendor_window,
        "pause": pause_as_json(result.pause),
        "logins": dict(result.totals.by_verdict) if result.totals else None,
    }
