"""The table of `docs/metrics.md`, from a registry in which everything has happened; `python -m tests.support.metric_table` writes it."""

from prometheus_client import CollectorRegistry, Metric

from tests.support import observed
from tests.support.documents import ROOT

PAGE = ROOT / "docs" / "metrics.md"
HEAD = ("metric", "type", "labels", "what it says, and what to do")

_SHORT_LABELS = 8


def rows(registry: CollectorRegistry) -> list[list[str]]:
    """One row a metric of ours, in the order of a scrape."""
    return [_row(family) for family in registry.collect() if family.name.startswith("refreshd_")]


def _row(family: Metric) -> list[str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return [f"`{name}`", family.type, _labels(family), family.documentation]


def _labels(family: Metric) -> str:
    """Each label; its values too where they are few and the same in every installation."""
    seen: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if not (label == "le" and family.type == "histogram"):
                values = seen.setdefault(label, [])
                values += [] if value in values else [value]
    return "; ".join(_label(family.name, label, values) for label, values in seen.items())


def _label(name: str, label: str, values: list[str]) -> str:
    differs = name == "refreshd_build_info" or label in {"institution", "operation", "code"}
    few = len(values) <= _SHORT_LABELS and not differs
    return f"`{label}`: {', '.join(values)}" if few else f"`{label}`"


def table() -> str:
    shown = observed.metrics(observed.RICHEST_TERMS, manual_refresh=True)
    observed.everything_happens(shown)
    lines = [HEAD, ("---",) * len(HEAD), *rows(shown.registry)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(text: str) -> str:
    """The page with the table of today in place of the one that it has."""
    head = f"| {' | '.join(HEAD)} |"
    before, _, rest = text.partition(head)
    after = rest.partition("\n\n")[2]
    return f"{before}{table()}\n\n{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
