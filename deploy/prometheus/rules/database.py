"""Alerts about Postgres."""

from deploy.prometheus.rules.promql import least, most, series
from deploy.prometheus.rules.rule import Alert, Severity

_DOWN = Alert(
    name="RefreshdDatabaseDown",
    severity=Severity.WARNING,
    expr=f"{least(series('refreshd_database_up'))} == 0",
    lasts="5m",
    summary="The ledger's database does not answer.",
    description="A copy of refreshd cannot reach Postgres. Without its ledger refreshd sends nothing, and waits.",
    first="refreshd doctor",
    panel="refreshd-vendor?viewPanel=3",
    why="A restart or a failover of Postgres takes less. RefreshdReconcileOverdue pages if it goes on.",
)

_POOL = Alert(
    name="RefreshdDatabasePoolSaturated",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_database_pool_connections', state='in_use'), 'state')}\n"
    f"/\n{most(series('refreshd_database_pool_max_connections'))}\n> $share",
    numbers={"share": "0.9"},
    lasts="15m",
    summary="Nearly all database connections are in use.",
    description="{{ $value | humanizePercentage }} of the leader's connections are in use: queries are slow, or something blocks them.",
    first="refreshd doctor",
    panel="refreshd-vendor?viewPanel=13",
    why="There is a connection for each call in flight and some to spare; all of them for a quarter of an hour means that they wait.",
)

_SCHEMA = Alert(
    name="RefreshdSchemaMismatch",
    severity=Severity.WARNING,
    expr=f"{series('refreshd_database_schema_version')} != {series('refreshd_database_schema_expected_version')}",
    lasts="5m",
    summary="The ledger's schema is not the one that this refreshd expects.",
    description="Schema {{ $value | humanize }} was found by {{ $labels.instance }}, which is made for another one.",
    first="refreshd migrate --check",
    panel="refreshd-vendor?viewPanel=4",
    why="During a rollout the two differ for as long as the migration takes.",
)

_NOTIFY = Alert(
    name="RefreshdNotifyPathDeaf",
    severity=Severity.WARNING,
    expr=f"{least(series('refreshd_notify_path_up'))} == 0",
    lasts="15m",
    summary="Notifications of the database do not arrive.",
    description="refreshd polls instead: clients who leave are noticed once a pass, not at once.",
    first="refreshd doctor",
    panel="refreshd-vendor?viewPanel=17",
    why="refreshd reconnects by itself within minutes; what stays deaf goes through a pooler that drops LISTEN.",
)

ALERTS = (_DOWN, _POOL, _SCHEMA, _NOTIFY)
