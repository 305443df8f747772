"""Alerts about the logins as a whole: data that grows old, deadlines, and a client list that cannot be right."""

from deploy.prometheus.rules.promql import most, series, summed
from deploy.prometheus.rules.recordings import ACTIVE, FAILED, SILENT
from deploy.prometheus.rules.rule import Alert, Severity

_SILENT_SHARE = (
    f"{series(SILENT)} > $share\nand\n{most(series('refreshd_stale_logins', verdict='stale'), 'verdict')} > $logins"
)

_STALE_HIGH = Alert(
    name="RefreshdStaleLoginsHigh",
    severity=Severity.CRITICAL,
    expr=_SILENT_SHARE,
    numbers={"share": "0.2", "logins": "5"},
    lasts="15m",
    lingers="15m",
    summary="Many logins have silently stopped refreshing.",
    description="{{ $value | humanizePercentage }} of the active logins are stale and no error explains it: "
    "the fault is between Flinks and us, not with their users.",
    first="refreshd logins --verdict stale",
    panel="refreshd-overview?viewPanel=10",
    why="Only silent ones count: those that fail with a code are many at most institutions, and are no news. "
    "A fifth at once is one cause.",
)

_STALE = Alert(
    name="RefreshdStaleLogins",
    severity=Severity.WARNING,
    expr=_SILENT_SHARE,
    numbers={"share": "0.05", "logins": "5"},
    lasts="30m",
    lingers="15m",
    summary="Some logins have silently stopped refreshing.",
    description="{{ $value | humanizePercentage }} of the active logins are stale and no error explains it.",
    first="refreshd logins --verdict stale",
    panel="refreshd-overview?viewPanel=10",
    why="A few silent logins are always there; one in twenty is a pattern.",
)

_LAPSING = Alert(
    name="RefreshdLoginsLapsing",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_lapsing_logins', within='1d'), 'within')} > $logins\n"
    f"and\n{most(series('refreshd_lapsing_logins', within='1d'), 'within')} > $share * {series(ACTIVE)}",
    numbers={"share": "0.01", "logins": "5"},
    lasts="1h",
    summary="Logins lapse within a day.",
    description="Flinks gives {{ $value | humanize }} logins up within a day; this is the last one to save them.",
    first="refreshd status",
    panel="refreshd-overview?viewPanel=5",
    why="Users who stay away make a few logins lapse every day; one in a hundred on one day is a common cause.",
)

_FAILED_JUMP = Alert(
    name="RefreshdFailedLoginsJump",
    severity=Severity.WARNING,
    expr=f"{series(FAILED)} - {series(FAILED)} offset 1d > $logins\n"
    f"and\n{series(FAILED)} > $factor * ({series(FAILED)} offset 1d)",
    numbers={"factor": "1.5", "logins": "10"},
    lasts="1h",
    summary="Far more logins fail than yesterday.",
    description="{{ $value | humanize }} more logins fail than at this time yesterday.",
    first="refreshd status",
    panel="refreshd-overview?viewPanel=14",
    why="The change is the news, not the number. Compared with the same hour of the day before, because nights make steps.",
)

_UNKNOWN_CODE = Alert(
    name="RefreshdUnknownErrorCode",
    severity=Severity.INFO,
    expr=f"{summed(series('refreshd_failed_logins', disposition='unknown'), 'error_code', 'disposition')} > 0",
    lasts="1h",
    summary="Flinks answers with an error code that no document describes.",
    description="{{ $value | humanize }} logins fail with a code that refreshd does not know; it retries them daily and asks nobody.",
    first="refreshd logins --verdict failed",
    panel="refreshd-overview?viewPanel=13",
    why="Normally there is none; somebody must decide what the code means.",
)

_DRIFTED = Alert(
    name="RefreshdDriftedLogins",
    severity=Severity.INFO,
    expr=f"{most(series('refreshd_logins', verdict='drifted'), 'verdict')} > 0",
    lasts="1d",
    summary="Logins of active clients are switched off at Flinks.",
    description="{{ $value | humanize }} logins should refresh every night, are off at Flinks, and refreshd did not switch them off.",
    first="refreshd logins --verdict drifted",
    panel="refreshd-overview?viewPanel=9",
    why="refreshd enables only what it had disabled itself, so these wait for a person.",
)

_UNKNOWN_LOGINS = Alert(
    name="RefreshdUnknownLogins",
    severity=Severity.INFO,
    expr=f"{most(series('refreshd_ineligible_logins', ledger='absent'), 'ledger')} > 0",
    lasts="1d",
    summary="Flinks reports logins that the ledger does not know.",
    description="{{ $value | humanize }} logins are scheduled at Flinks, and so billed, and are in nobody's client list.",
    first="refreshd status",
    panel="refreshd-reconcile?viewPanel=14",
    why="refreshd leaves them alone, because it cannot know whose they are. A day lets a late import pass.",
)

_LEDGER_SHRANK = Alert(
    name="RefreshdLedgerShrank",
    severity=Severity.CRITICAL,
    expr=f"{series(ACTIVE)} < $share * (max_over_time({series(ACTIVE)}[$memory]) > $logins)",
    numbers={"share": "0.5", "logins": "20", "memory": "1d"},
    lasts="5m",
    summary="The client list has lost half of its active logins.",
    description="{{ $value | humanize }} active logins are left, less than half of the most in a day. A broken import looks like this.",
    first="refreshd plans",
    panel="refreshd-overview?viewPanel=9",
    why="The same half at which the guard holds a plan as implausible. Compared with the most of a day, so that it lasts until seen.",
)

ALERTS = (
    _STALE_HIGH,
    _STALE,
    _LAPSING,
    _FAILED_JUMP,
    _LEDGER_SHRANK,
    _UNKNOWN_CODE,
    _DRIFTED,
    _UNKNOWN_LOGINS,
)
