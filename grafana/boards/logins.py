"""The logins behind the numbers, out of the ledger's own read-only views; LoginIds are masked for whoever may not read the ledger."""

import re
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import DataSourceRef

from grafana.board import Cell, Row, framed, placed
from grafana.panels import GREEN, Look, Saying, legend, said, thresholds

UID = "refreshd-logins"
POSTGRES_TYPE = "grafana-postgresql-datasource"
_PART = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)


def _parts(path: Path) -> dict[str, str]:
    """Name -> query, of a file whose queries begin with `-- name: ...`."""
    _, *pieces = _PART.split(path.read_text(encoding="utf-8"))
    return {name: sql.strip() for name, _, sql in zip(*[iter(pieces)] * 3, strict=True)}


_SQL = _parts(Path(__file__).with_suffix(".sql"))
POSTGRES = DataSourceRef(type_val=POSTGRES_TYPE, uid="${datasource}")


@dataclass
class SqlQuery(variants.Dataquery):
    """What Grafana's PostgreSQL plugin is asked; the SDK has no builder for it."""

    sql: str
    format: str
    ref_id: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": POSTGRES.to_json(),
            "editorMode": "code",
            "format": self.format,
            "rawQuery": True,
            "rawSql": self.sql,
            "refId": self.ref_id,
        }


class _Asked(Builder[variants.Dataquery]):
    def __init__(self, sql: str, form: str = "table") -> None:
        self._query = SqlQuery(sql=sql, format=form)

    def build(self) -> variants.Dataquery:
        return self._query


def dashboard() -> model.Dashboard:
    made = framed(UID, "Logins", "Which logins the numbers are about, and the story of one of them.", since="now-14d")
    made.variables(_variables())
    return placed(made, (_whole(), _attention(), _money(), _one())).build()


def _variables() -> list[Builder[model.VariableModel]]:
    source = builders.DatasourceVariable("datasource").label("Data source").type(POSTGRES_TYPE)
    return [
        source,
        _choice("institution", _SQL["institutions"]).multi(True).include_all(True).current(_EVERYTHING),
        _choice("code", _SQL["codes"]).label("Error code").multi(True).include_all(True).current(_EVERYTHING),
        _choice("login", _SQL["choosable_logins"]).description(
            "The login whose story stands below; the lists above lead here."
        ),
    ]


_EVERYTHING = model.VariableOption(selected=True, text="All", value="$__all")


def _choice(name: str, sql: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(name.capitalize())
        .datasource(POSTGRES)
        .query(sql)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def _whole() -> Row:
    verdicts = Saying(
        id=1,
        title="Logins by verdict and institution",
        unit="short",
        description="Where trouble gathers: a verdict that sits at one institution is the institution's, not ours.",
    )
    changes = Saying(
        id=7,
        title="Switched off and on, a day",
        unit="short",
        description="What Flinks has confirmed. A day that towers above the others was an approved plan.",
    )
    return Row(
        title="All logins",
        height=9,
        cells=((_list(verdicts, _SQL["by_institution"]), 14), (_days(changes, _SQL["confirmed_by_day"]), 10)),
    )


def _attention() -> Row:
    silent = Saying(
        id=2,
        title="Silently stale, longest first",
        unit="short",
        description="No error is known, yet they no longer refresh. Run: refreshd explain LOGIN_ID.",
    )
    users = Saying(
        id=3,
        title="Waiting for their users, newest first",
        unit="short",
        description="The user must connect the bank again; refreshd logins --verdict reconnect says what to tell each one.",
    )
    lapsing = Saying(
        id=4,
        title="Lapsing next",
        unit="short",
        description="Logins that Flinks soon gives up: seven days after the last good refresh, or after the last cached call.",
    )
    cells: tuple[Cell, ...] = (
        (_list(silent, _SQL["silently_stale"]), 6),
        (_list(users, _SQL["waiting_for_users"]), 10),
        (_list(lapsing, _SQL["lapsing_next"]), 8),
    )
    return Row(title="Wants somebody", height=10, cells=cells)


def _money() -> Row:
    leaking = Saying(
        id=5,
        title="Paid for nothing, longest first",
        unit="short",
        description="No active client, and not confirmed off; held ones wait for refreshd approve.",
    )
    off = Saying(
        id=6,
        title="Switched off lately",
        unit="short",
        description="Confirmed by Flinks within the time shown, newest first.",
    )
    return Row(
        title="Money",
        height=9,
        cells=((_list(leaking, _SQL["paid_for_nothing"]), 12), (_list(off, _SQL["switched_off"]), 12)),
    )


def _one() -> Row:
    state = Saying(
        id=9,
        title="This login",
        unit="short",
        description="What refreshd thinks of the login chosen above. The rule behind it: refreshd explain LOGIN_ID.",
    )
    changes = Saying(
        id=10,
        title="What was changed about it",
        unit="short",
        description="Every event of every disable and enable, newest first.",
    )
    calls = Saying(
        id=11,
        title="What Flinks was asked about it",
        unit="short",
        description="The trace, newest first, as long as it is kept; failure: no answer about what was asked.",
    )
    cells: tuple[Cell, ...] = (
        (_list(state, _SQL["one_login"]), 8),
        (_list(changes, _SQL["its_changes"]), 16),
        (_list(calls, _SQL["its_calls"]), 24),
    )
    return Row(title="One login", height=10, cells=cells)


_WIDTHS = {
    "login": 95,
    "institution": 160,
    "at": 105,
    "for": 75,
    "operation": 165,
    "fact": 115,
    "status": 60,
    "took": 75,
    "change": 70,
    "event": 85,
    "lapses in": 85,
    "plan": 150,
}


def _list(say: Saying, sql: str) -> table.Panel:
    """A list whose logins lead to their story."""
    panel = (
        said(table.Panel(), say, POSTGRES)
        .with_target(_Asked(sql))
        .show_header(True)
        .cell_height(kinds.TableCellHeight.SM)
    )
    for name in ("refreshed", "for", "lapses in", "without a client"):
        panel = panel.override_by_name(name, [model.DynamicConfigValue(id_val="unit", value="dtdurations")])
    panel = panel.override_by_name("took", [model.DynamicConfigValue(id_val="unit", value="s")])
    panel = panel.override_by_name("at", [model.DynamicConfigValue(id_val="unit", value="time:MM-DD HH:mm")])
    for name, width in _WIDTHS.items():
        panel = panel.override_by_name(name, [model.DynamicConfigValue(id_val="custom.width", value=width)])
    link = {
        "title": "The story of ${__value.text}",
        "url": f"/d/{UID}?var-login=${{__value.raw}}&${{__url_time_range}}",
    }
    return panel.override_by_name("login", [model.DynamicConfigValue(id_val="links", value=[link])])


def _days(say: Saying, sql: str) -> timeseries.Panel:
    return (
        said(timeseries.Panel(), say, POSTGRES)
        .with_target(_Asked(sql, "time_series"))
        .draw_style(kinds.GraphDrawStyle.BARS)
        .fill_opacity(70)
        .line_width(0)
        .min(0)
        .thresholds(thresholds(((None, GREEN),)))
        .legend(legend(Look()))
    )
