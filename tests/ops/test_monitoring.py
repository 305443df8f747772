"""The manifests for the Prometheus operator, held against what its API documents: nothing is missing, mistyped or unknown.

https://prometheus-operator.dev/docs/api-reference/api/ (monitoring.coreos.com/v1). A cluster would drop an unknown field without a word.
"""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops.test_metrics_lint import MOST_SERIES

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
Manifest = dict[str, Any]
Check = Callable[[Any], bool]
# https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.Duration
DURATION = re.compile(r"0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Shape:
    """A mapping: what its fields are, which of them must be there; no others may."""

    fields: Mapping[str, "Check | Shape | Each"]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Each:
    """A list of such, with one at least."""

    of: Shape


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _duration(value: Any) -> bool:
    return _text(value) and DURATION.fullmatch(value) is not None


def _words(value: Any) -> bool:
    """Names and texts, as labels and annotations are."""
    return isinstance(value, dict) and all(
        LABEL.fullmatch(name) and isinstance(text, str) for name, text in value.items()
    )


def _labels(value: Any) -> bool:
    """Of Kubernetes: names may have a domain, values have 63 signs at most."""
    return isinstance(value, dict) and all(_text(name) and len(text) <= 63 for name, text in value.items())


METADATA = Shape({"name": _text, "namespace": _text, "labels": _labels, "annotations": _labels}, needs=("name",))
RULE = Shape(
    {
        "record": _text,
        "alert": _text,
        "expr": _text,
        "for": _duration,
        "keep_firing_for": _duration,
        "labels": _words,
        "annotations": _words,
    },
    needs=("expr",),
)
GROUP = Shape(
    {
        "name": _text,
        "interval": _duration,
        "query_offset": _duration,
        "limit": _count,
        "labels": _words,
        "rules": Each(RULE),
    },
    needs=("name", "rules"),
)
ENDPOINT = Shape(
    {"port": _text, "path": _text, "scheme": _text, "interval": _duration, "scrapeTimeout": _duration}, needs=("port",)
)
SHAPES = {
    "PrometheusRule": Shape({"groups": Each(GROUP)}, needs=("groups",)),
    "ServiceMonitor": Shape(
        {
            "jobLabel": _text,
            "selector": Shape({"matchLabels": _labels}),
            "namespaceSelector": Shape({"matchNames": lambda names: isinstance(names, list)}),
            "endpoints": Each(ENDPOINT),
            "sampleLimit": _count,
            "targetLimit": _count,
            "labelLimit": _count,
            "labelNameLengthLimit": _count,
            "labelValueLengthLimit": _count,
        },
        needs=("selector", "endpoints"),
    ),
}
"""What of the documented fields is used here, or might be; a new one is looked up there first."""


def faults(manifest: Manifest) -> list[str]:
    """What the API would refuse or drop, by its place."""
    kind = manifest.get("kind", "")
    whole = Shape(
        {
            "apiVersion": lambda each: each == "monitoring.coreos.com/v1",
            "kind": _text,
            "metadata": METADATA,
            "spec": SHAPES[kind],
        },
        needs=("apiVersion", "kind", "metadata", "spec"),
    )
    return _faults(manifest, whole, kind)


def _faults(value: Any, shape: "Check | Shape | Each", place: str) -> list[str]:
    if isinstance(shape, Shape):
        return _faults_of_mapping(value, shape, place)
    if isinstance(shape, Each):
        if not isinstance(value, list) or not value:
            return [f"{place} is no list, or empty"]
        return [each for number, one in enumerate(value) for each in _faults(one, shape.of, f"{place}[{number}]")]
    return [] if shape(value) else [f"{place} is {value!r}"]


def _faults_of_mapping(value: Any, shape: Shape, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place} is no mapping"]
    missing = [f"{place}.{name} is missing" for name in shape.needs if name not in value]
    unknown = [f"{place}.{name} is unknown" for name in value if name not in shape.fields]
    known = [(name, each) for name, each in value.items() if name in shape.fields]
    return [
        *missing,
        *unknown,
        *(each for name, one in known for each in _faults(one, shape.fields[name], f"{place}.{name}")),
    ]


def _manifest(name: str) -> Manifest:
    found: Manifest = yaml.safe_load((KUBERNETES / "monitoring" / f"{name}.yaml").read_text("utf-8"))
    return found


NAMES = ("prometheusrule", "servicemonitor")


@pytest.mark.parametrize("name", NAMES)
def test_the_operator_takes_every_field_as_it_stands(name: str) -> None:
    assert faults(_manifest(name)) == []


def test_a_rule_records_or_alerts_and_never_both() -> None:
    for group in _manifest("prometheusrule")["spec"]["groups"]:
        for rule in group["rules"]:
            assert ("record" in rule) != ("alert" in rule), rule
            assert "alert" in rule or not {"for", "keep_firing_for", "annotations"} & rule.keys()


def test_the_groups_have_names_of_their_own() -> None:
    names = [group["name"] for group in _manifest("prometheusrule")["spec"]["groups"]]
    assert len(names) == len(set(names))


def test_the_monitor_finds_the_service_its_port_and_all_series() -> None:
    monitor = _manifest("servicemonitor")["spec"]
    service = yaml.safe_load((KUBERNETES / "service.yaml").read_text("utf-8"))
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {each["port"] for each in monitor["endpoints"]} <= {each["name"] for each in service["spec"]["ports"]}
    assert monitor["sampleLimit"] > 2 * MOST_SERIES


def _spoilt(name: str, *path: str | int, value: Any) -> Manifest:
    manifest = copy.deepcopy(_manifest(name))
    *way, last = path
    place: Any = manifest
    for step in way:
        place = place[step]
    place[last] = value
    return manifest


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (_spoilt("servicemonitor", "spec", "endpoint", value=[]), "ServiceMonitor.spec.endpoint is unknown"),
        (_spoilt("servicemonitor", "spec", "endpoints", value=[]), "ServiceMonitor.spec.endpoints is no list, or empty"),
        (_spoilt("servicemonitor", "spec", "endpoints", 0, "interval", value="30 s"), "endpoints[0].interval is '30 s'"),
        (_spoilt("servicemonitor", "spec", "endpoints", 0, "ports", value="http"), "endpoints[0].ports is unknown"),
        (_spoilt("servicemonitor", "spec", "sampleLimit", value="1000"), "sampleLimit is '1000'"),
        (_spoilt("servicemonitor", "apiVersion", value="monitoring.coreos.com/v1alpha1"), "apiVersion is"),
        (_spoilt("servicemonitor", "metadata", value={}), "metadata.name is missing"),
        (_spoilt("prometheusrule", "spec", "groups", 0, "rules", 0, value={"record": "a:b"}), "rules[0].expr is missing"),
        (_spoilt("prometheusrule", "spec", "groups", 0, "rules", 0, "forr", value="1m"), "rules[0].forr is unknown"),
        (_spoilt("prometheusrule", "spec", "groups", 1, "rules", 0, "for", value="1m30"), "rules[0].for is '1m30'"),
        (_spoilt("prometheusrule", "spec", "groups", 1, "rules", 0, "labels", value={"a-b": "c"}), "rules[0].labels is"),
        (_spoilt("prometheusrule", "spec", "groups", 1, "rules", 0, "labels", value={"a": 1}), "rules[0].labels is"),
    ],
)  # fmt: skip
def test_what_the_operator_would_refuse_or_drop_is_found(spoilt: Manifest, said: str) -> None:
    found = faults(spoilt)
    assert len(found) == 1
    assert said in found[0]
