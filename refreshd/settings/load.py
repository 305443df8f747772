"""Settings from all sources, or one SettingsError that names every fault. No value of a secret gets into its text."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from refreshd.core.errors import SettingsError
from refreshd.settings.model import SECRETS, Settings
from refreshd.settings.sources import CREDENTIALS_DIRECTORY, Readings, read_sources, variable_of
from refreshd.settings.values import Mode, ScheduleAuth

_SHOWN = 60
"""Characters of a faulty value that are repeated."""

_PREFIX_OF_OUR_OWN = "Value error, "


def load_settings(*, require_flinks: bool, config: Path | None = None) -> Settings:
    """Read environment, secret files and TOML file. `require_flinks` False: only the ledger is needed (`migrate`, `import`)."""
    readings = read_sources(config)
    settings, faults = _validate(readings)
    found = [*readings.faults, *faults, *_missing(readings.values, require_flinks=require_flinks)]
    found += _contradictions(readings, require_flinks=require_flinks)
    if settings is None or found:
        count = "one fault" if len(found) == 1 else f"{len(found)} faults"
        raise SettingsError(
            "\n  ".join([f"the settings have {count}:", *found]),
            hint="every setting is explained in the README, section Settings; `refreshd doctor` tries them out",
        )
    return settings


def _validate(readings: Readings) -> tuple[Settings | None, list[str]]:
    try:
        return Settings.model_validate(readings.values), []
    except ValidationError as error:
        return None, [_fault(detail, readings.names) for detail in error.errors(include_url=False)]


def _fault(detail: ErrorDetails, names: Mapping[str, str]) -> str:
    name = str(detail["loc"][0])
    said = detail["msg"]
    text = said.removeprefix(_PREFIX_OF_OUR_OWN).replace("Input should be", "must be", 1)
    if name in SECRETS:
        return f"{names[name]}: {text}"
    shown = str(detail["input"])[:_SHOWN]
    return (
        f"{names[name]}: {shown!r} {text}"
        if said.startswith(_PREFIX_OF_OUR_OWN)
        else f"{names[name]}: {text}, not {shown!r}"
    )


def _missing(values: Mapping[str, object], *, require_flinks: bool) -> Iterator[str]:
    needed = {"database_url": "write postgresql://user@host/database, or embedded:PATH to try refreshd out"}
    if require_flinks:
        needed["flinks_base_url"] = "write the whole base, as https://INSTANCE-api.private.fin.ag/v3"
        needed["flinks_customer_id"] = "write the GUID that Flinks gave your instance"
    for name, advice in needed.items():
        if name not in values:
            file = f" (or {variable_of(name)}_FILE, or ${CREDENTIALS_DIRECTORY}/{name})" if name in SECRETS else ""
            yield f"{variable_of(name)}{file}: is missing; {advice}"


def _contradictions(readings: Readings, *, require_flinks: bool) -> Iterator[str]:
    """What no single setting shows. Judged on the raw values, so that one faulty setting does not hide another."""
    values = readings.values
    if "source_database_url" in values and "source_query_file" not in values:
        yield f"{readings.names['source_database_url']}: has no query to run; set {variable_of('source_query_file')} too"
    if "database_direct_url" in values and str(values.get("database_url", "")).startswith("embedded:"):
        yield f"{readings.names['database_direct_url']}: leads past a pooler, and an embedded server has none; remove it"
    writes = str(values.get("mode", Mode.ENFORCE)) != Mode.OBSERVE
    if require_flinks and writes:
        auth = str(values.get("flinks_schedule_auth", ScheduleAuth.API_KEY))
        needed = {
            ScheduleAuth.API_KEY.value: "flinks_api_key",
            ScheduleAuth.BEARER.value: "flinks_api_secret",
            ScheduleAuth.AUTHORIZE_TOKEN.value: "flinks_secret_key",
        }.get(auth)
        if needed and needed not in values:
            yield (
                f"{variable_of('flinks_schedule_auth')}: is {auth}, but {variable_of(needed)} is missing;"
                " give it, or say how else SetScheduledRefresh proves itself (none = no header)"
            )
