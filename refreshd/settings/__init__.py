"""What the operator says, from environment and TOML file, as one frozen value; all faults are reported together."""

from refreshd.settings.load import load_settings
from refreshd.settings.model import Settings
from refreshd.settings.reload import changed, require_reloadable
from refreshd.settings.table import ShownSetting, settings_in_force, settings_table
from refreshd.settings.values import (
    CrashPoint,
    Integration,
    ListenAddress,
    LogFormat,
    LoginIds,
    ManualRefresh,
    Mode,
    ScaledDates,
    ScheduleAuth,
)

__all__ = [
    "CrashPoint",
    "Integration",
    "ListenAddress",
    "LogFormat",
    "LoginIds",
    "ManualRefresh",
    "Mode",
    "ScaledDates",
    "ScheduleAuth",
    "Settings",
    "ShownSetting",
    "changed",
    "load_settings",
    "require_reloadable",
    "settings_in_force",
    "settings_table",
]
