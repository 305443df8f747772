"""`refreshd doctor`: what works, and what to mend."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen, clean_lines
from refreshd.cli.session import full_settings, ledger_settings
from refreshd.cli.start import run_async
from refreshd.core.errors import SettingsError
from refreshd.core.model import LoginId
from refreshd.doctor import Finding, Outcome, Tell, examine, of_error
from refreshd.settings import Settings

WriteProbe = Annotated[
    UUID | None,
    typer.Option(
        "--write-probe",
        metavar="LOGIN_ID",
        help="Prove SetScheduledRefresh too: repeat the disable of this login, which must be confirmed off.",
    ),
]

_SIGNS = {
    Outcome.GOOD: ("✓", "green"),
    Outcome.WARNING: ("!", "yellow"),
    Outcome.UNPROVEN: ("?", "cyan"),
    Outcome.BAD: ("✗", "bold red"),
}
_SUBJECT_WIDTH = 11


def doctor(*, write_probe: WriteProbe = None, config: Config = None, as_json: AsJson = False) -> None:
    """Test settings, database and each credential; say what to mend.

    The calls are harmless: a token is minted, the report is read, a made-up RequestId is asked for. They keep to the budget, so this
    takes some seconds. While a daemon leads nothing is sent; its last calls speak for the credentials instead.
    """
    screen, findings = Screen(), list[Finding]()

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            _show(screen, finding)

    settings, is_complete = _settings(config, tell)
    if settings is not None:
        probe = None if write_probe is None else LoginId(write_probe)
        with screen.waiting("looking"):
            run_async(examine(settings, vendor=is_complete, tell=tell, probe=probe))
    if as_json:
        screen.json([_as_json(each) for each in findings])
    code = max((each.exit_code for each in findings), default=0)
    if code:
        raise typer.Exit(code)


def _settings(config: Path | None, tell: Tell) -> tuple[Settings | None, bool]:
    """The settings, and whether they suffice to call Flinks; where they do not, the database can still be looked at."""
    try:
        settings = full_settings(config)
    except SettingsError as error:
        tell(of_error("settings", error))
    else:
        where = f"{settings.mode} mode, {settings.rate_per_minute} calls a minute, {settings.flinks_base_url}"
        tell(Finding(subject="settings", outcome=Outcome.GOOD, sentence=where))
        return settings, True
    try:
        return ledger_settings(config), False
    except SettingsError:
        return None, False


def _show(screen: Screen, finding: Finding) -> None:
    sign, style = _SIGNS[finding.outcome]
    head = f"{sign} {finding.subject.ljust(_SUBJECT_WIDTH)} "
    screen.hanging(Text(head, style), clean_lines(finding.sentence))
    if finding.hint:
        screen.hanging(" " * len(head), Text(finding.hint, "dim"))
    screen.flush()


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "subject": finding.subject,
        "outcome": finding.outcome,
        "sentence": finding.sentence,
        "hint": finding.hint or None,
    }
