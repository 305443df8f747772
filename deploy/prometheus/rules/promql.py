"""Short forms for expressions.

Targets differ in the labels that scrapers add (`instance` under systemd; `pod`, `container` and `endpoint` too under the Prometheus
operator). Taking them `without` gives one alert for an installation either way, and keeps whatever else tells installations apart.
"""

TARGET = "instance, pod, container, endpoint"


def series(metric: str, **labels: str) -> str:
    """The metric of this job, with labels that must match."""
    matchers = "".join(f',{name}="{value}"' for name, value in labels.items())
    return f'{metric}{{job="$job"{matchers}}}'


def most(expr: str, *own: str) -> str:
    """One value an installation: the largest that any copy shows. `own` are labels of the metric itself to drop."""
    return _over("max", expr, own)


def least(expr: str, *own: str) -> str:
    return _over("min", expr, own)


def total(expr: str, *own: str) -> str:
    """The sum over all copies, and over the metric's `own` labels: for what each copy counts for itself."""
    return _over("sum", expr, own)


def summed(expr: str, *own: str) -> str:
    """One value an installation: the sum over `own` labels of what only the leader shows.

    First the largest of all copies: in a takeover two of them show the same ledger for the length of a scrape, which is no second one.
    """
    return f"sum without ({', '.join(own)}) ({most(expr)})"


def kinds(expr: str, *own: str, ignoring: str) -> str:
    """How many values of the `own` labels there are over all copies."""
    return f"count without ({', '.join(own)}) ({_over('group', expr, (ignoring,))})"


def increase(counter: str, window: str = "$window", **labels: str) -> str:
    return f"increase({series(counter, **labels)}[{window}])"


def of_the_leader(metric: str) -> str:
    """A metric without labels that every copy shows, where only the leader's word counts."""
    return f"{series(metric)} and {series('refreshd_leader')} == 1"


def _over(operator: str, expr: str, own: tuple[str, ...]) -> str:
    return f"{operator} without ({', '.join((TARGET, *own))}) ({expr})"
