"""The settings as the README lists them, made from the fields themselves."""

from datetime import time, timedelta
from enum import Enum

from refreshd.settings.model import SECRETS, Settings
from refreshd.settings.sources import variable_of
from refreshd.settings.values import show_duration


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
