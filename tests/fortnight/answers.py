"""What the panels of a dashboard show when the fortnight ends: each query, Grafana's variables filled in, asked of the real thing."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from tests.fortnight.lived import Lived
from tests.fortnight.scrape import INTERVAL
from tests.fortnight.town import END

Json = dict[str, Any]

POINTS = 500
"""About as many as a panel of a third of a screen has pixels."""
_LEGEND = re.compile(r"\{\{(\w+)\}\}")
_SQL_SOURCE = "grafana-postgresql-datasource"
_NUMBERS = (int, float)


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time on the screen."""

    since: datetime
    until: datetime

    points: int = POINTS

    @property
    def step_seconds(self) -> float:
        """As Grafana rounds it: never finer than the scrapes."""
        wanted = (self.until - self.since).total_seconds() / self.points
        scrape = INTERVAL.total_seconds()
        return max(scrape, scrape * round(wanted / scrape))


def span_of(dashboard: Json) -> Span:
    """The dashboard's own span, as if it were looked at when the fortnight ends."""
    days = int(dashboard["time"]["from"].removeprefix("now-").removesuffix("d"))
    return Span(since=END - timedelta(days=days), until=END)


def panels_of(dashboard: Json) -> list[Json]:
    """All that are not headings."""
    return [each for each in dashboard["panels"] if each["type"] != "row"]


def filled(expr: str, span: Span) -> str:
    """PromQL with Grafana's variables as they are when nothing is chosen."""
    scrape = INTERVAL.total_seconds()
    rate = max(span.step_seconds + scrape, 4 * scrape)
    shown = (span.until - span.since).total_seconds()
    values = {"$__rate_interval": f"{rate:.0f}s", "$__range": f"{shown:.0f}s", "$job": ".+", "$instance": ".+"}
    return _replaced(expr, values)


def filled_sql(sql: str, span: Span, login: str) -> str:
    """SQL likewise; Grafana's macros become what its plugin makes of them."""
    since, until = (f"'{at.isoformat()}'" for at in (span.since, span.until))
    between = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {since} AND {until}", sql)
    everything = {
        "$institution": "SELECT COALESCE(institution, 'unknown') FROM masked_login",
        "$code": "SELECT COALESCE(error_code, 'none') FROM masked_login",
        "$login": f"'{login}'",
        "$__timeTo()": until,
    }
    return _replaced(between, everything)


def _replaced(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


class Answering:
    """Asks for everything on one dashboard."""

    def __init__(self, lived: Lived, dashboard: Json) -> None:
        self._lived = lived
        self.dashboard = dashboard
        self.span = span_of(dashboard)

    def panels(self) -> dict[int, list[Json]]:
        """Panel id -> what the renderer draws, one answer for each query."""
        if any(each.get("datasource", {}).get("type") == _SQL_SOURCE for each in panels_of(self.dashboard)):
            return asyncio.run(self._from_ledger())
        return {
            panel["id"]: [self._asked(panel, target) for target in _targets(panel)]
            for panel in panels_of(self.dashboard)
        }

    def notes(self) -> list[Json]:
        """The annotations, each with where it begins and ends."""
        found = []
        for each in self.dashboard.get("annotations", {}).get("list", []):
            if each.get("enable", True):
                step = self.span.step_seconds
                for series in self._range(each["expr"], step):
                    found += [
                        {"from": a, "to": b, "color": each["iconColor"]} for a, b in _runs(series["values"], step)
                    ]
        return found

    def _asked(self, panel: Json, target: Json) -> Json:
        if panel["type"] == "alertlist":
            return {"alerts": self._firing()}
        span = replace(self.span, points=panel.get("maxDataPoints", POINTS))
        prometheus, expr = self._lived.prometheus, filled(target["expr"], span)
        if target.get("format") == "table":
            return _as_table(prometheus.instant(expr, span.until))
        if target.get("instant"):
            vector = prometheus.instant(expr, span.until)
            return {"series": [_series(each, [each["value"]], target, span) for each in vector]}
        matrix = prometheus.range(expr, span.since, span.until, span.step_seconds)
        return {"series": [_series(each, each["values"], target, span) for each in matrix]}

    def _range(self, expr: str, step: float) -> list[Json]:
        return self._lived.prometheus.range(filled(expr, self.span), self.span.since, self.span.until, step)

    def _firing(self) -> list[Json]:
        firing = self._lived.prometheus.instant('ALERTS{alertstate="firing"}', self.span.until)
        return [
            {
                "name": each["metric"]["alertname"],
                "severity": each["metric"]["severity"],
                "since": self._since(each["metric"]),
            }
            for each in firing
        ]

    def _since(self, labels: Mapping[str, str]) -> float:
        """When it began to fire."""
        matchers = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
        (series,) = self._range(f"ALERTS{{{matchers}}}", INTERVAL.total_seconds())
        return _runs(series["values"], INTERVAL.total_seconds())[-1][0]

    async def _from_ledger(self) -> dict[int, list[Json]]:
        session = await asyncpg.connect(self._lived.ledger_url)
        try:
            login = await session.fetchval(
                "SELECT login FROM masked_change GROUP BY login ORDER BY count(*) DESC, login LIMIT 1"
            )
            return {
                panel["id"]: [await self._rows(session, target, login) for target in panel["targets"]]
                for panel in panels_of(self.dashboard)
            }
        finally:
            await session.close()

    async def _rows(self, session: "asyncpg.Connection[asyncpg.Record]", target: Json, login: str) -> Json:
        rows = await session.fetch(filled_sql(target["rawSql"], self.span, login))
        columns = [_column(name, [row[name] for row in rows]) for name in (rows[0].keys() if rows else ())]
        if target["format"] == "table":
            return {"columns": columns}
        time, *others = columns
        return {
            "series": [
                {"name": each["name"], "step": 0, "points": list(zip(time["values"], each["values"], strict=True))}
                for each in others
            ]
        }


def _targets(panel: Json) -> Sequence[Json]:
    targets: Sequence[Json] = panel.get("targets") or [{}]
    return targets


def _series(each: Json, values: Iterable[Sequence[Any]], target: Json, span: Span) -> Json:
    points = [[float(at) * 1000, _float(value)] for at, value in values]
    return {"name": _named(each["metric"], target["legendFormat"]), "points": points, "step": span.step_seconds * 1000}


def _float(text: str) -> float | None:
    number = float(text)
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - NaN is not itself


def _named(labels: Mapping[str, str], legend: str) -> str:
    if legend == "__auto":
        return ", ".join(f"{key}={value}" for key, value in labels.items()) or "value"
    return _LEGEND.sub(lambda match: labels.get(match[1], ""), legend)


def _as_table(vector: Sequence[Json]) -> Json:
    names = sorted({name for each in vector for name in each["metric"]})
    return {"columns": [_column(name, [each["metric"].get(name) for each in vector]) for name in names]}


def _column(name: str, values: Sequence[Any]) -> Json:
    if any(isinstance(each, datetime) for each in values):
        return {"name": name, "type": "time", "values": [each and each.timestamp() * 1000 for each in values]}
    if any(isinstance(each, bool) is False and hasattr(each, "__float__") for each in values):
        return {"name": name, "type": "number", "values": [None if each is None else float(each) for each in values]}
    return {"name": name, "type": "string", "values": ["" if each is None else str(each) for each in values]}


def _runs(values: Sequence[Sequence[Any]], step: float) -> list[tuple[float, float]]:
    """Milliseconds between which a series exists without a gap."""
    runs: list[tuple[float, float]] = []
    for at, _ in values:
        moment = float(at) * 1000
        if runs and moment - runs[-1][1] <= step * 1500:
            runs[-1] = (runs[-1][0], moment)
        else:
            runs.append((moment, moment))
    return runs
