"""`refreshd migrate`: the ledger's tables."""

from typing import Annotated

import typer

from refreshd import migrate as migrations
from refreshd import policies
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Column, Screen
from refreshd.cli.session import connection, ledger_settings
from refreshd.cli.start import run_async
from refreshd.core.errors import SchemaMismatch
from refreshd.migrate import MigrationStatus
from refreshd.phrases import counted, stamp
from refreshd.settings import Settings
from refreshd.sqlfiles import Migration

Check = Annotated[bool, typer.Option("--check", metavar="", help="Only say what is missing; change nothing.")]


def migrate(*, check: Check = False, config: Config = None, as_json: AsJson = False) -> None:
    """Create the ledger's tables, or bring them up to date.

    Repeating it changes nothing. Each migration is applied once, in order, all of it or nothing, while a lock keeps out every other
    migrate. With --check it exits 4 when something is missing or was altered.
    """
    screen = Screen()
    settings = ledger_settings(config)
    if check:
        _show_status(screen, run_async(_status(settings)), settings.database_schema, as_json=as_json)
    else:
        _show_applied(screen, run_async(_apply(settings)), settings.database_schema, as_json=as_json)


async def _status(settings: Settings) -> MigrationStatus:
    async with connection(settings) as session:
        return await migrations.status(session)


async def _apply(settings: Settings) -> tuple[Migration, ...]:
    async with connection(settings) as session:
        return await migrations.apply(session, schema=settings.database_schema, now=policies.clock(settings).now())


def _show_applied(screen: Screen, applied: tuple[Migration, ...], schema: str, *, as_json: bool) -> None:
    if as_json:
        screen.json({"schema": schema, "applied": [migration.label for migration in applied]})
    elif applied:
        screen.line(f"Applied {counted(len(applied), 'migration')} to schema {schema}:")
        for migration in applied:
            screen.line(migration.label, indent=2)
    else:
        screen.line(f"Schema {schema} is up to date; nothing changed.")


def _show_status(screen: Screen, found: MigrationStatus, schema: str, *, as_json: bool) -> None:
    if as_json:
        screen.json(_status_as_json(found, schema))
    else:
        screen.table([Column(head="migration", whole=True), Column(head="state")], _rows(found))
    if not found.is_current:
        raise SchemaMismatch(_trouble(found, schema), hint=_way_out(found))
    if not as_json:
        screen.line(f"Schema {schema} is up to date.")


def _rows(found: MigrationStatus) -> list[tuple[str, str]]:
    altered = {row.number for row in found.altered}
    newer = {row.number: row for row in found.newer}
    rows = []
    for row in found.applied:
        said = f"applied {stamp(row.applied_at)}"
        if row.number in altered:
            said += ", with another content than this refreshd carries"
        elif row.number in newer:
            said += ", by a newer refreshd" + (" (it only adds)" if row.additive else "")
        rows.append((row.label, said))
    return rows + [(migration.label, "missing") for migration in found.missing]


def _trouble(found: MigrationStatus, schema: str) -> str:
    if found.altered:
        return f"schema {schema} was migrated with another content than this refreshd carries"
    if found.missing:
        return f"schema {schema} lacks {counted(len(found.missing), 'migration')}"
    return f"schema {schema} was migrated by a newer refreshd"


def _way_out(found: MigrationStatus) -> str:
    if found.missing and not found.altered:
        return "run `refreshd migrate`"
    return "run the refreshd release that applied them, or a later one"


def _status_as_json(found: MigrationStatus, schema: str) -> dict[str, object]:
    return {
        "schema": schema,
        "current": found.is_current,
        "applied": [{"name": row.label, "applied_at": row.applied_at} for row in found.applied],
        "missing": [migration.label for migration in found.missing],
        "altered": [row.label for row in found.altered],
        "newer": [{"name": row.label, "additive": row.additive} for row in found.newer],
    }
