"""The rules of the house that no linter knows, as pure functions over source text; each returns its complaints."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST_FUNCTION = 40
LONGEST_MODULE = 300

_STATEMENT = re.compile(
    r"\b(SELECT\b.*\bFROM|SELECT \w+\(|INSERT INTO|UPDATE \S+\s+SET|DELETE FROM|TRUNCATE|LISTEN|NOTIFY|"
    r"(CREATE|ALTER|DROP) (OR REPLACE |UNIQUE )?(TABLE|INDEX|SCHEMA|DATABASE|FUNCTION|TRIGGER|VIEW|ROLE|TYPE)|"
    r"SET (LOCAL |SESSION )?search_path|COPY \S+ (FROM|TO))",
    re.DOTALL,
)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_SQL_STRING = re.compile(r"'(?:''|[^'])*'")
_SCHEMA_NAME = re.compile(r"\brefreshd\b")

_GUARDED = frozenset({"GuardedPlan", "GuardedChange", "AdmittedPlan"})
_GUARD = "refreshd/core/guard.py"
_WRITE = "set_scheduled_refresh"
_WIRE = "refreshd/core/wire/"


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file; `path` is relative to the root of the repository."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)


def sources(root: Path, *, package: str = "refreshd") -> list[Source]:
    return [
        Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted((root / package).rglob("*.py"))
    ]


def long_functions(source: Source) -> list[str]:
    return [
        f"{source.path}:{node.lineno}: {node.name} has {lines} lines; {LONGEST_FUNCTION} are the most"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]


def long_module(source: Source) -> list[str]:
    lines = source.text.count("\n")
    return (
        [f"{source.path}: {lines} lines; which second noun does it hide? ({LONGEST_MODULE} are the most)"]
        if lines > LONGEST_MODULE
        else []
    )


def assembled_sql(source: Source) -> list[str]:
    """SQL put together in Python, which nobody can run, plan or review as it stands."""
    return [
        f"{source.path}:{node.lineno}: SQL is assembled here; write a named query in sql/queries"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.expr) and _STATEMENT.search(_assembled_text(node))
    ]


def _assembled_text(node: ast.expr) -> str:
    """The constant part of a text that has variable parts; empty for everything else."""
    match node:
        case ast.JoinedStr():
            return "".join(_constant(part) for part in node.values)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            return _constant(left) + _constant(right)
        case ast.Call(func=ast.Attribute(value=value, attr="format" | "join" | "replace")):
            return _constant(value)
        case _:
            return ""


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def schema_named(path: str, text: str) -> list[str]:
    """A schema named in SQL: the search path carries it, so that two daemons on two schemas do not meet."""
    bare = _SQL_STRING.sub("''", _SQL_COMMENT.sub("", text))
    return [f"{path}: names the schema; the search path carries it"] if _SCHEMA_NAME.search(bare) else []


def guarded_elsewhere(source: Source) -> list[str]:
    """Only the guard makes what the write gate takes."""
    if source.path == _GUARD:
        return []
    return [
        f"{source.path}:{node.lineno}: only core/guard.py makes a {_called(node)}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _called(node) in _GUARDED
    ]


@dataclass(frozen=True, slots=True)
class Gate:
    """A place that builds the request which writes at Flinks."""

    path: str
    class_name: str
    takes_a_guarded_change: bool


def write_gates(source: Source) -> list[Gate]:
    """The classes that build the request of SetScheduledRefresh; "" stands for code outside any class."""
    if source.path.startswith(_WIRE):
        return []
    return [
        Gate(source.path, class_name, _takes_a_guarded_change(function))
        for class_name, function in _functions(source.tree)
        if any(isinstance(node, ast.Call) and _called(node) == _WRITE for node in ast.walk(function))
    ]


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Methods with their class, and whatever else stands in the module."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from ((node.name, inner) for inner in node.body)
        else:
            yield "", node


def _takes_a_guarded_change(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(each.annotation is not None and "GuardedChange" in ast.unparse(each.annotation) for each in arguments)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
