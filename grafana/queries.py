"""PromQL as the panels use it. Every selector names job and instance, so that one Grafana may show several installations."""

from collections.abc import Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
RATE = "$__rate_interval"


def metric(name: str, *matchers: str) -> str:
    """A selector of one metric: `metric("refreshd_logins", 'verdict="held"')`."""
    labels = ",".join(('job=~"$job"', 'instance=~"$instance"', *matchers))
    return f"{name}{{{labels}}}"


def leaders(name: str, *matchers: str, by: str = "") -> str:
    """A gauge that the leader alone shows: which copy that is does not matter, and for a moment there may be two or none."""
    return f"max by ({by}) ({metric(name, *matchers)})" if by else f"max({metric(name, *matchers)})"


def per_second(name: str, *matchers: str, by: str = "") -> str:
    """The rate of a counter, over all copies."""
    rate = f"rate({metric(name, *matchers)}[{RATE}])"
    return f"sum by ({by}) ({rate})" if by else f"sum({rate})"


def grown(name: str, *matchers: str, by: str = "", span: str = RATE) -> str:
    """By how much a counter grew within each step, over all copies."""
    increase = f"increase({metric(name, *matchers)}[{span}])"
    return f"sum by ({by}) ({increase})" if by else f"sum({increase})"


def quantile(share: float, name: str, by: str = "") -> str:
    """Of a histogram, over all copies."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({metric(name + '_bucket')}[{RATE}])))"


def mean(name: str, by: str = "") -> str:
    """Of a histogram or a summary, over all copies; nothing where nothing happened."""
    total, count = per_second(f"{name}_sum", by=by), per_second(f"{name}_count", by=by)
    return f"{total} / ({count} > 0)"


def lettered(queries: Sequence[prometheus.Dataquery]) -> list[Builder[Dataquery]]:
    """The queries of one panel, told apart as Grafana does: A, B, C."""
    return [query.ref_id(letter) for letter, query in zip(ascii_uppercase, queries, strict=False)]


def asked(expr: str, legend: str = "", *, now: bool = False, table: bool = False) -> prometheus.Dataquery:
    """One query of a panel; `now`: only the newest value is wanted."""
    query = prometheus.Dataquery().datasource(PROMETHEUS).expr(expr).legend_format(legend or "__auto")
    if table:
        query = query.format(PromQueryFormat.TABLE)
    return query.instant() if now else query.range()
