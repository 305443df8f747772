"""What could be wrong with a rule: every comparison turned round, every number and span a bit off, every aggregation another one.

A test of the rules is worth as much as it notices. `mutants` changes one thing at a time; a story must then end otherwise.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Rule = dict[str, Any]

_NUMBERS = (1.3, 0.7)
_SPANS = (1.4, 0.6)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SEVERITIES = ("critical", "warning", "info")
_INSTEAD = {
    ">": "<",
    "<": ">",
    "==": "!=",
    "!=": "==",
    "/": "*",
    "-": "+",
    "max": "min",
    "min": "max",
    "sum": "min",
    "count": "max",
    "and": "or",
    "or": "and",
    "unless": "and",
    "max_over_time": "min_over_time",
    "increase": "rate",
    "changes": "resets",
}

_TOKEN = re.compile(
    r"(?P<matcher>\w+=\"[^\"]*\")"
    r"|(?P<labels>(?<=without \()[\w, ]+)"
    r"|(?P<span>\b\d+[smhdw]\b)"
    r"|(?P<number>\b\d+(?:\.\d+)?\b)"
    r"|(?P<word>[a-zA-Z_:][\w:]*|[=!]=|[<>/-])"
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule with one change, and the change in words."""

    change: str
    rule: Rule


def mutants(rule: Rule) -> list[Mutant]:
    return [*_of_the_expression(rule), *_of_the_frame(rule)]


def _of_the_expression(rule: Rule) -> Iterator[Mutant]:
    expr = rule["expr"]
    for token in _TOKEN.finditer(expr):
        for instead in _others(token):
            changed = f"{expr[: token.start()]}{instead}{expr[token.end() :]}"
            place = len(re.findall(re.escape(token[0]), expr[: token.start()])) + 1
            yield Mutant(f"{token[0]} ({place}) -> {instead}", {**rule, "expr": changed})


def _others(token: re.Match[str]) -> list[str]:
    text = token[0]
    match token.lastgroup:
        case "matcher":
            return [] if text.startswith("job=") else [text.replace("=", "!=")]
        case "labels":
            names = text.split(", ")
            return [", ".join(other for other in names if other != name) for name in names]
        case "span":
            return [_span(text, factor) for factor in _SPANS]
        case "number":
            return [f"{float(text) * factor:g}" for factor in _NUMBERS if float(text)]
        case _:
            return [_INSTEAD[text]] if text in _INSTEAD else []


def _of_the_frame(rule: Rule) -> Iterator[Mutant]:
    for key in ("for", "keep_firing_for"):
        if key in rule:
            for factor in _SPANS:
                changed = _span(rule[key], factor)
                yield Mutant(f"{key}: {rule[key]} -> {changed}", {**rule, key: changed})
    severity = rule.get("labels", {}).get("severity")
    for other in _SEVERITIES if severity else ():
        if other != severity:
            mutant = deepcopy(rule)
            mutant["labels"]["severity"] = other
            yield Mutant(f"severity: {severity} -> {other}", mutant)


def _span(text: str, factor: float) -> str:
    return f"{round(int(text[:-1]) * _SECONDS[text[-1]] * factor)}s"
