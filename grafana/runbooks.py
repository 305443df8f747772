"""The way back from a panel: to the runbook of every alert that leads to it, as the table of rules says."""

from grafana_foundation_sdk.models import dashboard as model

from deploy.prometheus.rules.overrides import DEFAULT_RUNBOOKS
from deploy.prometheus.rules.table import alerts

RUNBOOKS = DEFAULT_RUNBOOKS
"""Where they are read, unless an installation's own rules say otherwise."""


def alerts_of(uid: str, panel: int) -> list[str]:
    """The names of the alerts that this panel explains."""
    return sorted({alert.name for alert in alerts() if alert.panel == f"{uid}?viewPanel={panel}"})


def alerts_about(uid: str) -> str:
    """A regular expression of those that lead to this dashboard."""
    return "|".join(sorted({alert.name for alert in alerts() if alert.panel.startswith(f"{uid}?")}))


def linked(made: model.Dashboard) -> model.Dashboard:
    """The dashboard, each panel with links to its runbooks."""
    for panel in made.panels or ():
        if isinstance(panel, model.Panel) and panel.id_val is not None:
            names = alerts_of(made.uid or "", panel.id_val)
            panel.links = [*(panel.links or ()), *(_link(name) for name in names)] or None
    return made


def _link(name: str) -> model.DashboardLink:
    return model.DashboardLink(
        title=f"Runbook: {name}",
        type_val=model.DashboardLinkType.LINK,
        url=f"{RUNBOOKS}/{name}.md",
        target_blank=True,
    )
