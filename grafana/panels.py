"""The few kinds of panel that the dashboards are made of, each with one look.

Every panel has an id that stays (alerts link to it), a title, a unit, and a description that says what to do about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model

from grafana.queries import PROMETHEUS, lettered

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#8e8e8e"

Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; None = from below."""

Words = Mapping[str, tuple[str, str]]
"""Value -> what it is called, and its colour."""

GOOD_AT_ZERO: Steps = ((None, GREEN), (1, RED))
NEUTRAL: Steps = ((None, BLUE),)

_WORD_SIZE = 28
"""Of a state in words: large enough to read, and never larger than a number that is bad."""
_BARS = 100
"""At most so many in a graph, at every zoom, so that a lone one is seen."""


@dataclass(frozen=True, kw_only=True)
class Saying:
    """What a panel says of itself. `link`: (title, url) of where to go from here."""

    id: int
    title: str
    description: str
    unit: str
    link: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a graph looks. `colours` and `names` are by series."""

    stacked: bool = False
    bars: bool = False
    steps: Steps = NEUTRAL
    limits: bool = False
    """Draw the steps as lines across the graph."""
    colours: Mapping[str, str] = field(default_factory=dict)
    dashed: Sequence[str] = ()
    fill: float = 12
    min: float | None = 0
    soft_max: float | None = None
    """How far the scale reaches even when every value lies below: where flat and low is well, it shall look low."""
    legend_table: bool = False


def number(
    say: Saying, query: prometheus.Dataquery, *, steps: Steps, none: str = "no data", words: Words | None = None
) -> stat.Panel:
    """One big number, coloured as a whole, so that what is wrong is seen from afar."""
    panel = (
        said(stat.Panel(), say)
        .targets(lettered([query]))
        .thresholds(thresholds(steps))
        .color_mode(kinds.BigValueColorMode.BACKGROUND)
        .graph_mode(kinds.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .no_value(none)
        .decimals(0)
    )
    if not words:
        return panel
    size = common.VizTextDisplayOptions().value_size(_WORD_SIZE)
    return panel.mappings([_words(words)]).graph_mode(kinds.BigValueGraphMode.NONE).text(size)


def graph(say: Saying, queries: Sequence[prometheus.Dataquery], look: Look | None = None) -> timeseries.Panel:
    """Lines, areas or bars over time."""
    look = look or Look()
    panel = said(timeseries.Panel(), say).targets(lettered(queries)).thresholds(thresholds(look.steps))
    panel = (
        panel.draw_style(kinds.GraphDrawStyle.BARS if look.bars else kinds.GraphDrawStyle.LINE)
        .line_width(0 if look.bars else 1)
        .fill_opacity(70 if look.stacked or look.bars else look.fill)
        .show_points(kinds.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(legend(look))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )
    if look.bars:
        panel = panel.max_data_points(_BARS).decimals(0)
    if look.stacked:
        panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if look.limits:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    if look.min is not None:
        panel = panel.min(look.min)
    if look.soft_max is not None:
        panel = panel.axis_soft_max(look.soft_max)
    for name, colour in look.colours.items():
        panel = panel.override_by_name(name, [_colour(colour)])
    for name in look.dashed:
        panel = panel.override_by_name(name, _DASHED)
    return panel


def states(say: Saying, queries: Sequence[prometheus.Dataquery], words: Words) -> statetimeline.Panel:
    """Who was in which state when."""
    return (
        said(statetimeline.Panel(), say)
        .targets(lettered(queries))
        .mappings([_words(words)])
        .fill_opacity(85)
        .line_width(0)
        .row_height(0.8)
        .merge_values(True)
        .show_value(kinds.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .calcs([])
        )
    )


def ranking(
    say: Saying, query: prometheus.Dataquery, *, steps: Steps, max_value: float | None = None
) -> bargauge.Panel:
    """Who is worst, as bars side by side."""
    panel = (
        said(bargauge.Panel(), say)
        .targets(lettered([query]))
        .thresholds(thresholds(steps))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .show_unfilled(True)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .min(0)
    )
    return panel if max_value is None else panel.max(max_value)


def listing(say: Saying, query: prometheus.Dataquery, *, hide: Sequence[str] = ()) -> table.Panel:
    """Rows as they come."""
    panel = said(table.Panel(), say).targets(lettered([query])).show_header(True).cell_height(kinds.TableCellHeight.SM)
    if hide:
        excluded = dict.fromkeys(hide, True)
        panel = panel.with_transformation(
            model.DataTransformerConfig(id_val="organize", options={"excludeByName": excluded})
        )
    return panel


def alerts(say: Saying, name: str) -> dashboard.Panel:
    """What fires now, as the data source knows it; `name`: how the alerts' names begin."""
    shown = {"firing": True, "pending": True, "noData": False, "normal": False, "error": True}
    panel = dashboard.Panel().type("alertlist").id(say.id).title(say.title).description(say.description)
    panel.datasource(PROMETHEUS).unit(say.unit)
    return panel.options(
        {
            "viewMode": "list",
            "groupMode": "default",
            "sortOrder": 3,
            "maxItems": 20,
            "alertName": name,
            "datasource": "${datasource}",
            "stateFilter": shown,
        }
    )


Built = dashboard.Panel | stat.Panel | timeseries.Panel | statetimeline.Panel | bargauge.Panel | table.Panel
_PanelT = TypeVar("_PanelT", stat.Panel, timeseries.Panel, statetimeline.Panel, bargauge.Panel, table.Panel)


def said(panel: _PanelT, say: Saying, source: kinds.DataSourceRef = PROMETHEUS) -> _PanelT:
    """The panel with all that it says of itself."""
    panel.id(say.id).title(say.title).description(say.description).unit(say.unit).datasource(source)
    if say.link is not None:
        title, url = say.link
        panel.links([dashboard.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url)])
    return panel


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _words(words: Words) -> model.ValueMap:
    """Values that are shown as words, each with its colour."""
    options = {value: model.ValueMappingResult(text=text, color=colour) for value, (text, colour) in words.items()}
    return model.ValueMap(options=options)


def _colour(name: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": name})


_DASHED = [
    model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
    model.DynamicConfigValue(id_val="custom.lineWidth", value=2),
    model.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
    model.DynamicConfigValue(id_val="custom.stacking", value={"mode": "none", "group": "B"}),
]
"""A limit, not a measurement."""


def legend(look: Look) -> common.VizLegendOptions:
    """Names below the graph, or a table with the newest values beside it."""
    shown = common.VizLegendOptions().show_legend(True)
    if look.legend_table:
        return (
            shown.display_mode(kinds.LegendDisplayMode.TABLE)
            .placement(kinds.LegendPlacement.RIGHT)
            .calcs(["lastNotNull"])
        )
    return shown.display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM).calcs([])
