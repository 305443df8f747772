"""The table: every rule there is, in the order in which it is evaluated."""

from deploy.prometheus.rules import database, logins, reconcile, recordings, runtime, vendor
from deploy.prometheus.rules.rule import Alert, Group

GROUPS = (
    Group(name="refreshd-recordings", rules=recordings.RECORDINGS),
    Group(name="refreshd-runtime", rules=runtime.ALERTS),
    Group(name="refreshd-reconcile", rules=reconcile.ALERTS),
    Group(name="refreshd-logins", rules=logins.ALERTS),
    Group(name="refreshd-vendor", rules=vendor.ALERTS),
    Group(name="refreshd-database", rules=database.ALERTS),
)


def alerts() -> list[Alert]:
    return [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]
