"""Stories that prove an alert: series as Prometheus would have scraped them, and the moments at which it speaks or is silent.

In a story two copies of refreshd are scraped, with the labels that the Prometheus operator adds. A series is of the first copy, unless
its name ends in `@b`. What the second one shows differs, wherever it shows anything: a rule must find the truth in spite of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUNBOOKS = "https://git.example.com/refreshd/docs/runbooks"
INSTALLATION = {"job": "refreshd", "namespace": "refreshd"}
COPIES = {
    "a": {"instance": "10.1.0.7:9877", "pod": "refreshd-a", "container": "refreshd", "endpoint": "http"},
    "b": {"instance": "10.1.0.8:9877", "pod": "refreshd-b", "container": "refreshd-b", "endpoint": "http-b"},
}

_SERIES = re.compile(r"(?P<metric>\w+)(?:\{(?P<labels>.*)\})?(?:@(?P<copy>[ab]))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`series` in promtool's notation; `says` is the whole description at the moments of `fires`."""

    title: str
    series: Mapping[str, str]
    quiet: tuple[str, ...] = ()
    fires: tuple[str, ...] = ()
    says: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    every: str = "1m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Everything that an alert says, word for word, and the stories in which it does or does not."""

    alert: str
    severity: str
    summary: str
    first: str
    panel: str
    stories: tuple[Story, ...]
    copy: str = ""
    """The copy that the alert speaks of; empty when it speaks of the whole installation."""

    window: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.alert, self.window

    def told(self, story: Story) -> dict[str, Any]:
        """The one alert that is expected when the story fires."""
        installation = dict(INSTALLATION) | (COPIES[self.copy] if self.copy else {})
        window = {"window": self.window} if self.window else {}
        labels = {"severity": self.severity, **installation, **window, **story.labels}
        return {
            "exp_labels": {name: value for name, value in labels.items() if value},
            "exp_annotations": {
                "summary": self.summary,
                "description": story.says,
                "run_first": self.first,
                "runbook_url": f"{RUNBOOKS}/{self.alert}.md",
                "dashboard_url": f"/d/{self.panel}",
            },
        }


def scraped(name: str) -> str:
    """The series as Prometheus stores it."""
    found = _SERIES.fullmatch(name)
    assert found is not None, name
    target = INSTALLATION | COPIES[found["copy"] or "a"]
    labels = ",".join([*(f'{key}="{value}"' for key, value in target.items()), *filter(None, [found["labels"]])])
    return f"{found['metric']}{{{labels}}}"


def alert_tests(proof: Proof, story: Story) -> list[dict[str, Any]]:
    quiet = [{"eval_time": at, "alertname": proof.alert, "exp_alerts": []} for at in story.quiet]
    told = [proof.told(story)]
    return [*quiet, *({"eval_time": at, "alertname": proof.alert, "exp_alerts": told} for at in story.fires)]


def group(proof: Proof, story: Story) -> dict[str, Any]:
    """One story as promtool plays it."""
    series = [{"series": scraped(name), "values": values} for name, values in story.series.items()]
    return {"interval": story.every, "input_series": series, "alert_rule_test": alert_tests(proof, story)}


def story_file(proof: Proof, story: Story, rule_file: str) -> dict[str, Any]:
    """promtool plays one file at one pace, so each story has its own."""
    return {"rule_files": [rule_file], "evaluation_interval": story.every, "tests": [group(proof, story)]}
