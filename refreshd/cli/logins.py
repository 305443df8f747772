"""`refreshd logins`: the logins with their verdicts; with `--verdict reconnect` the list of users who must connect again."""

from collections.abc import AsyncIterator, Iterable
from typing import Annotated

import typer
from rich.text import Text

from refreshd import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import Opened, ledger_settings, opened
from refreshd.cli.shapes import login_as_json
from refreshd.cli.start import run_async
from refreshd.cli.styles import VERDICT_STYLES
from refreshd.core import codes
from refreshd.core.model import LoginId, VerdictName
from refreshd.reading import StoredLogin
from refreshd.settings import Settings

SHOWN = 50
_READ_AT_ONCE = 1_000
_ROOM_FOR_INSTITUTIONS = 100

OfVerdict = Annotated[
    VerdictName | None, typer.Option("--verdict", "-v", metavar="VERDICT", help="Only the logins of this verdict.")
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help=f"At most so many; 0 = all. Without it {SHOWN}, and all of them with --json."
    ),
]


def logins(*, verdict: OfVerdict = None, limit: Limit = None, config: Config = None, as_json: AsJson = False) -> None:
    """List logins with verdict and reason, by LoginId.

    Verdicts: leaking, held and disabled for logins without an active client; fresh, stale, failed, reconnect, drifted and unseen for
    the others; quarantined for either. `--verdict reconnect` also says what to tell each user.
    """
    wanted = (limit or None) if limit is not None else (None if as_json else SHOWN)
    work = _print_json if as_json else _show
    run_async(work(Screen(), ledger_settings(config), verdict, wanted))


async def _print_json(screen: Screen, settings: Settings, verdict: VerdictName | None, limit: int | None) -> None:
    async with opened(settings) as here:
        with screen.json_array() as array:
            async for each in _read(here, verdict, limit):
                array.add(login_as_json(each))


async def _show(screen: Screen, settings: Settings, verdict: VerdictName | None, limit: int | None) -> None:
    async with opened(settings) as here:
        shown, found_codes = 0, set[str]()
        wide = screen.width is None or screen.width >= _ROOM_FOR_INSTITUTIONS
        with screen.stream(_columns(wide=wide)) as stream:
            async for each in _read(here, verdict, limit):
                shown += 1
                stream.add(_row(here, each, wide=wide))
                if each.error_code and each.verdict is VerdictName.RECONNECT:
                    found_codes.add(each.error_code)
        total = await _count(here, verdict)
    if not shown:
        screen.line("There is no such login." if verdict else "The ledger has no login yet; refreshd import FILE.")
    elif total > shown:
        screen.line(f"… and {phrases.number(total - shown)} more (--limit 0)", indent=2, style="dim")
    if found_codes:
        _show_advice(screen, sorted(found_codes))


async def _read(here: Opened, verdict: VerdictName | None, limit: int | None) -> AsyncIterator[StoredLogin]:
    """The logins in chunks, so that a ledger of millions needs no memory."""
    after: LoginId | None = None
    left = limit
    while left is None or left > 0:
        wanted = _READ_AT_ONCE if left is None else min(_READ_AT_ONCE, left)
        chunk = await here.ledger.logins(verdict, after=after, limit=wanted)
        if not chunk:
            return
        for each in chunk:
            yield each
        after = chunk[-1].evidence.login_id
        left = None if left is None else left - len(chunk)


async def _count(here: Opened, verdict: VerdictName | None) -> int:
    by_verdict = (await here.ledger.totals(now=here.now)).by_verdict
    return sum(by_verdict.values()) if verdict is None else by_verdict.get(verdict, 0)


def _columns(*, wide: bool) -> list[Column]:
    columns = [
        Column(head="login", whole=True),
        Column(head="verdict", whole=True),
        Column(head="for", whole=True, right=True),
        Column(head="why"),
    ]
    return [*columns, Column(head="institution")] if wide else columns


def _row(here: Opened, each: StoredLogin, *, wide: bool) -> list[Cell]:
    row: list[Cell] = [
        str(each.evidence.login_id),
        Text(each.verdict, VERDICT_STYLES[each.verdict]),
        phrases.span(here.now - each.verdict_since),
        clean(each.code or each.reason),
    ]
    return [*row, clean(each.evidence.institution or "")] if wide else row


def _show_advice(screen: Screen, found: Iterable[str]) -> None:
    screen.title("What to tell these users")
    screen.facts((code, codes.meaning_of(code).advice) for code in found)
