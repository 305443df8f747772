"""The settings as the README lists them and as the page shows those in force, made from the fields themselves."""

from datetime import time, timedelta
from enum import Enum
from typing import NamedTuple

from refreshd.settings.model import SECRETS, Settings
from refreshd.settings.sources import variable_of
from refreshd.settings.values import show_duration


class ShownSetting(NamedTuple):
    """A setting in force; of a secret only whether it is set. `changed`: it is not the default."""

    name: str
    value: str
    changed: bool
    meaning: str


def settings_in_force(settings: Settings) -> tuple[ShownSetting, ...]:
    """All of them, in the order of the README."""
    return tuple(
        ShownSetting(
            name=variable_of(name),
            value=_in_force(name, getattr(settings, name)),
            changed=getattr(settings, name) != field.default,
            meaning=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    )


def _in_force(name: str, value: object) -> str:
    if name in SECRETS:
        return "not set" if value is None else "set"
    return "not set" if value is None else _show(value).strip("`")


def settings_table() -> str:
    """A Markdown table: name, default, meaning. A secret may also come from a file, which its row says."""
    rows = ["| name | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        meaning = field.description or ""
        if name in SECRETS:
            meaning += f" May come from a file: `{variable_of(name)}_FILE`."
        rows.append(f"| `{variable_of(name)}` | {_show(field.default)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _show(default: object) -> str:
    match default:
        case None:
            return "none"
        case timedelta():
            return f"`{show_duration(default)}`"
        case time():
            return f"`{default:%H:%M}`"
        case Enum():
            return f"`{default.value}`"
        case _:
            return f"`{default}`"
