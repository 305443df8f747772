"""`refreshd import`: the company's client list, from a CSV file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from refreshd import phrases, policies
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.start import run_async
from refreshd.core.caps import allowance
from refreshd.core.errors import InputRejected
from refreshd.importer import ImportResult, ImportTerms, import_file
from refreshd.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file in UTF-8; - reads standard input.")]
Full = Annotated[
    bool, typer.Option("--full", metavar="", help="The file is the whole truth: clients that it lacks become inactive.")
]
AcceptShrinkage = Annotated[
    int | None,
    typer.Option(
        "--accept-shrinkage",
        metavar="N",
        min=0,
        help="With --full: accept that exactly N active logins become inactive, although the caps allow fewer.",
    ),
]


def import_clients(
    *,
    file: File,
    full: Full = False,
    accept_shrinkage: AcceptShrinkage = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a client list into the ledger, all of it or nothing.

    Columns client_id, login_id, active and, if you like, scheduled, in any order; others are named and ignored. Every bad row is listed
    with line, column and reason. With --full, a list that lost more than the caps allow is refused before anything changes.
    """
    screen = Screen()
    settings = ledger_settings(config)
    with _source(file) as source:
        result = run_async(_import(screen, settings, source, _size(file), full=full, accepted=accept_shrinkage))
    if as_json:
        screen.json({name: getattr(result, name) for name in ImportResult.__slots__})
    else:
        _show(screen, result)


@contextmanager
def _source(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened_file = file.open("rb")
    except OSError as error:
        raise InputRejected(
            f"{file} cannot be read: {error.strerror}", hint="name a CSV file, or - for standard input"
        ) from error
    with opened_file:
        yield opened_file


def _size(file: Path) -> int | None:
    """Bytes to come, where anybody can know."""
    return file.stat().st_size if file.is_file() else None


async def _import(
    screen: Screen, settings: Settings, source: BinaryIO, size: int | None, *, full: bool, accepted: int | None
) -> ImportResult:
    async with opened(settings) as here:
        totals = await here.ledger.plan_totals(now=here.now)
        terms = ImportTerms(
            now=here.now,
            full=full,
            allowance=allowance(policies.guard_policy(settings), totals.not_confirmed_off),
            accept_shrinkage=accepted,
        )
        with screen.progress_of_bytes() as progress:
            task = progress.add_task("reading", total=size)
            return await import_file(
                source,
                url=here.url,
                schema=settings.database_schema,
                terms=terms,
                progress=lambda count: progress.update(task, completed=count),
            )


def _show(screen: Screen, result: ImportResult) -> None:
    if result.ignored_columns:
        screen.note(f"ignored: {phrases.listed([clean(name) for name in result.ignored_columns])}")
    screen.line(f"Took in {phrases.counted(result.rows, 'row')}.")
    changes = [
        ("clients added", result.clients_added),
        ("clients changed", result.clients_changed),
        ("clients that the list lacks, now inactive", result.clients_deactivated),
        ("links added", result.links_added),
        ("links changed", result.links_changed),
        ("links that the list lacks, now unscheduled", result.links_unscheduled),
        ("logins that became active", result.logins_activated),
        ("logins that became inactive", result.logins_deactivated),
        ("rows that repeat another", result.duplicates),
    ]
    told = [(label, phrases.number(count)) for label, count in changes if count]
    screen.facts(told or [("", "nothing changed")])
