"""The sum at the end of the day: what was billed, what was saved, what was found, and whether a rule broke."""

from rich.console import Console
from rich.table import Table

from refreshd.core.model import VerdictName
from refreshd.core.totals import LedgerTotals
from refreshd.demo.stage import LEFT_LONG_AGO, Stage
from refreshd.ledger import Ledger


async def sum_up(built: Stage, ledger: Ledger, console: Console) -> int:
    """Print it. Returns 0 if the night billed no inactive login and no rule broke, else 1."""
    totals = await ledger.totals(now=built.clock.now())
    built.flinks.advance(built.clock.now())  # it lives only as far as its last call
    audit = built.flinks.audit
    inactive = built.company.inactive_logins()
    leaked = sum(audit.bills[each] for each in inactive)
    saved = sum(not audit.bills[each] for each in inactive)
    rate = built.settings.rate_per_minute
    most = audit.most_calls_in(60.0)
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in (
        ("billed", _billed(built.night_billed, audit.billed_nights, saved)),
        ("saved", f"{saved} login-nights, every night from now on: logins of clients who left, off at Flinks"),
        ("leaking", f"{built.night_leaked} billed without an active client the night before, {leaked} in this one"),
        ("found", _found(totals)),
        ("calls", f"{audit.calls_counted}, at most {most} in any 60 s; the limit is {rate}"),
        ("rules broken", _breaches(built)),
    ):
        table.add_row(f"[bold]{name}[/]", value)
    console.print("\n[bold]The day in figures[/]")
    console.print(table)
    failed = leaked or audit.breaches_by_rule.total() or most > rate or totals.by_verdict.get(VerdictName.LEAKING)
    if built.night_leaked != LEFT_LONG_AGO:
        failed = True
    return 1 if failed else 0


def _billed(before: int, now: int, saved: int) -> str:
    others = before - now - saved
    why = f"; {others} more were not eligible any more" if others > 0 else ""
    return f"{before} logins the night before, {now} in this one{why}"


def _found(totals: LedgerTotals) -> str:
    silent = totals.stale.get(VerdictName.STALE, 0)
    users = totals.by_verdict.get(VerdictName.RECONNECT, 0)
    return (
        f"{silent} silently stale, {users} for their users to reconnect, {sum(totals.failed.values())} failing in all"
    )


def _breaches(built: Stage) -> str:
    broken = built.flinks.audit.breaches_by_rule
    if not broken.total():
        return "none: no inactive login authorized, none in the vendor's night, no token used twice, no live bank login"
    return ", ".join(f"{count} x {rule}" for rule, count in broken.items())
