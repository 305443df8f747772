"""What a statement of the ledger is for, told by its text: the bounded label behind the metrics of queries."""

from collections.abc import Mapping
from functools import cache

from refreshd.sqlfiles import load_queries

OTHER = "other"
QUERIES = ("draw", "effects", "judge", "plan", "report", "trace", "totals", "pass", "commit", OTHER)
"""The statements of the ledger, grouped by what the daemon does with them."""

_COMMIT = "COMMIT;"
_GROUPS: Mapping[str, str] = {
    "work": "draw",
    "effect": "effects",
    "verdict": "judge",
    "plan": "plan",
    "report": "report",
    "trace": "trace",
    "totals": "totals",
    "pass": "pass",
}
"""By the noun of `sql/queries/`."""


def query_label(statement: str) -> str:
    """The group of a named query, or `commit`; everything else is `other`."""
    return _labels().get(statement, OTHER)


@cache
def _labels() -> Mapping[str, str]:
    named = {query.sql: group for noun, group in _GROUPS.items() for query in load_queries(noun).values()}
    return {**named, _COMMIT: "commit"}
