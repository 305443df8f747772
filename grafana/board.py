"""The frame around the panels: variables, links from board to board, annotations, and rows from top to bottom."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana.panels import Built
from grafana.queries import PROMETHEUS, asked, metric
from grafana.runbooks import RUNBOOKS, alerts_about, linked

TAG = "refreshd"
WIDTH = 24

Cell = tuple[Built, int]
"""A panel and how wide it is, of 24."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels side by side under a heading, as many lines as they need."""

    title: str
    height: int
    cells: Sequence[Cell]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    since: str = "now-7d"


def panel_of(uid: str, panel: int) -> str:
    """The address of a panel on another board, with the same variables and time."""
    return f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}&viewPanel={panel}"


def built(board: Board) -> model.Dashboard:
    """The dashboard as Grafana takes it."""
    made = framed(board.uid, board.title, board.description, since=board.since)
    made.variables(_variables()).annotations(_annotations(alerts_about(board.uid)))
    return linked(placed(made, board.rows).build())


def framed(uid: str, title: str, description: str, *, since: str) -> dashboard.Dashboard:
    """What every board has, whatever its data source."""
    return (
        dashboard.Dashboard(f"refreshd / {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("utc")
        .readonly()
        .refresh("1m")
        .time(since, "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .links(_links())
    )


def placed(made: dashboard.Dashboard, rows: Sequence[Row]) -> dashboard.Dashboard:
    """Put the rows one under the other."""
    y = 0
    for number, row in enumerate(rows):
        heading = dashboard.Row(row.title).id(900 + number).grid_pos(model.GridPos(x=0, y=y, w=WIDTH, h=1))
        made.with_row(heading)
        y += 1
        x = 0
        for panel, width in row.cells:
            if x + width > WIDTH:
                x, y = 0, y + row.height
            made.with_panel(panel.grid_pos(model.GridPos(x=x, y=y, w=width, h=row.height)))
            x += width
        y += row.height
    return made


def written(made: model.Dashboard) -> str:
    """The JSON that is committed."""
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variables() -> list[Builder[model.VariableModel]]:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return [source, _label("job", "refreshd_build_info"), _label("instance", 'refreshd_build_info{job=~"$job"}')]


def _label(name: str, series: str) -> dashboard.QueryVariable:
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(PROMETHEUS)
        .query(f"label_values({series}, {name})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(everything)
    )


def _links() -> list[Builder[model.DashboardLink]]:
    boards = (
        dashboard.DashboardLink("refreshd")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .keep_time(True)
        .include_vars(True)
    )
    runbooks = dashboard.DashboardLink("Runbooks").type(model.DashboardLinkType.LINK).url(RUNBOOKS).icon("doc")
    return [boards, runbooks.target_blank(True)]


def _annotations(names: str) -> list[Builder[model.AnnotationQuery]]:
    start = metric("process_start_time_seconds")
    info = metric("refreshd_build_info")
    appears = f"count by (version) ({info}) unless count by (version) ({info} offset 15m)"
    return [
        _note(
            "Pages",
            f'ALERTS{{alertname=~"{names}",alertstate="firing",severity="critical",job=~"$job"}}',
            "red",
            "{{alertname}}",
        ),
        _note(
            "Held plans", f"max({metric('refreshd_guard_holding')}) == 1", "orange", "a plan waits for refreshd approve"
        ),
        _note("Releases", appears, "blue", "version {{version}} appears"),
        _note("Restarts", f"changes({start}[10m]) > 0", "purple", "{{instance}} restarted", enabled=False),
    ]


def _note(name: str, expr: str, colour: str, text: str, *, enabled: bool = True) -> dashboard.AnnotationQuery:
    query: prometheus.Dataquery = asked(expr)
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(PROMETHEUS)
        .enable(enabled)
        .icon_color(colour)
        .expr(expr)
        .target(query)
        .title_format(name)
        .text_format(text)
        .step("60s")
    )
