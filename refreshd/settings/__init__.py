"""What the operator says, from environment and TOML file, as one frozen value; all faults are reported together."""

from refreshd.settings.load import load_settings
from refreshd.settings.model import Settings
from refreshd.settings.table import settings_table
from refreshd.settings.values import (
    Integration,
    ListenAddress,
    LogFormat,
    ManualRefresh,
    Mode,
    ScaledDates,
    ScheduleAuth,
)

__all__ = [
    "Integration",
    "ListenAddress",
    "LogFormat",
    "ManualRefresh",
    "Mode",
    "ScaledDates",
    "ScheduleAuth",
    "Settings",
    "load_settings",
    "settings_table",
]
