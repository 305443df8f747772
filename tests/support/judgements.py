"""What the judge can say, read off its source: every verdict with its reason and the form of its sentence."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from refreshd.core import judge as judge_module
from refreshd.core.model import VerdictName
from refreshd.core.plan import ChangeReason

Judgement = tuple[bool, str, str]
"""Whether the login is active, its verdict, its reason."""


def judgements() -> dict[Judgement, list[re.Pattern[str]]]:
    """Every judgement, with the forms that its sentence can have."""
    source = Path(judge_module.__file__).read_text(encoding="utf-8")
    found: dict[Judgement, list[re.Pattern[str]]] = {}
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            for call in _verdicts_made(function):
                _, name, reason, sentence = call.args[:4]
                is_active = isinstance(call.func, ast.Name) and call.func.id == "_active"
                for each in _texts(reason, function):
                    forms = [re.compile(form) for form in _forms(sentence, function)]
                    found.setdefault((is_active, _attribute(name, VerdictName), each), []).extend(forms)
    return found


def _verdicts_made(function: ast.FunctionDef) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_active", "_inactive"}:
            yield node


def _attribute(node: ast.expr, kind: type[VerdictName] | type[ChangeReason]) -> str:
    match node:
        case ast.Attribute(attr=name):
            return str(getattr(kind, name))
        case _:
            return _unread(node)


def _texts(node: ast.expr, function: ast.FunctionDef) -> list[str]:
    """The values that an expression for a reason can have."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Attribute():
            return [_attribute(node, ChangeReason)]
        case ast.IfExp():
            return _texts(node.body, function) + _texts(node.orelse, function)
        case ast.Name(id=name):
            return [text for value in _assigned(name, function) for text in _texts(value, function)]
        case _:
            return _unread(node)


def _forms(node: ast.expr, function: ast.FunctionDef) -> list[str]:
    """Regular expressions for a sentence: what is filled in may be anything."""
    match node:
        case ast.Constant(value=str(text)):
            return [re.escape(text)]
        case ast.JoinedStr(values=parts):
            return ["".join(".+" if isinstance(part, ast.FormattedValue) else _literal(part) for part in parts)]
        case ast.Name(id=name) if assigned := [each for each in _assigned(name, function) if each is not node]:
            return [form for value in assigned for form in _forms(value, function)]
        case _:
            return _unread(node)


def _literal(part: ast.expr) -> str:
    return re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"


def _assigned(name: str, function: ast.FunctionDef) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    ]


def _unread(node: ast.expr) -> NoReturn:
    message = f"the judge is written in a way that this test does not read: {ast.unparse(node)}"
    raise AssertionError(message)
