"""Which settings a running daemon may take on: all but those that say which ledger, which Flinks customer and which address it serves.

Who may decide on the page may change too; but whether anybody may does not, because without operators the page has no doors at all.
"""

from refreshd.core.errors import SettingsError
from refreshd.settings.model import Settings
from refreshd.settings.sources import variable_of

_FIXED = (
    "database_url",
    "database_direct_url",
    "database_schema",
    "flinks_base_url",
    "flinks_customer_id",
    "listen",
    "log_format",
    "scaled_dates",
    "crash_at",
)


def changed(before: Settings, after: Settings) -> tuple[str, ...]:
    """The names of the settings that differ, as fields; never a value."""
    return tuple(name for name in Settings.model_fields if getattr(before, name) != getattr(after, name))


def require_reloadable(before: Settings, after: Settings) -> None:
    """Raise SettingsError, naming each of them, where a setting differs that only a restart can change."""
    fixed = [variable_of(name) for name in changed(before, after) if name in _FIXED]
    if (before.operators is None) is not (after.operators is None):
        fixed.append(variable_of("operators"))
    if fixed:
        raise SettingsError(
            f"only a restart can change {', '.join(fixed)}",
            hint="restart refreshd, or take that change back and reload again for the others",
        )
