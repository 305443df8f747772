"""Which statements write, which functions lead to one, and whether each is kept inside the leader's fence. Only source text is read.

A statement is followed from the query's name upwards: through whatever builds it, or runs it on a session that it was handed, to the
function that opens the transaction. There it is fenced, or the function has its reason.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from refreshd.sqlfiles import load_queries, query_nouns, schema_text
from tests.support.architecture import Source

Query = tuple[str, str]
"""A noun, and the name of one of its queries."""

_COMMENT = re.compile(r"--[^\n]*")
_TEXT = re.compile(r"'(?:''|[^'])*'")
_WRITE = re.compile(
    r"\b(INSERT INTO|UPDATE \w+( AS \w+)? SET|DELETE FROM|TRUNCATE|MERGE INTO|EXECUTE|CREATE(?! TEMPORARY)|ALTER|DROP) "
)
"""A temporary table is its session's own, and nothing of the ledger."""
_FUNCTION = re.compile(r"CREATE FUNCTION (\w+)\(.*?\$\$(.*?)\$\$", re.DOTALL)

_RUNS = frozenset(
    {"execute", "executemany", "fetch", "fetchrow", "fetchval", "copy_records_to_table", "rows", "row", "value", "_ask"}
)
_OPENS = re.compile(r"\b(_database|writers)\b|\bself\._ask|\.transaction\(|\b(connect|_transaction)\(")
_FENCE = "fenced"
_FENCED_FROM_HERE = "keep_out_successors"


def writing_queries() -> frozenset[Query]:
    """Every named query that changes a table, by itself or by a function of the ledger's that it calls."""
    by_function = _writing_functions(schema_text())
    return frozenset(
        (noun, name)
        for noun in query_nouns()
        for name, query in load_queries(noun).items()
        if writes(query.sql, by_function)
    )


def writes(sql: str, by_function: Collection[str] = ()) -> bool:
    plain = " ".join(_TEXT.sub("''", _COMMENT.sub("", sql)).split())
    return bool(_WRITE.search(plain)) or any(re.search(rf"\b{each}\(", plain) for each in by_function)


def _writing_functions(schema: str) -> frozenset[str]:
    bodies = dict(_FUNCTION.findall(schema))
    found: frozenset[str] = frozenset()
    while (more := frozenset(name for name, body in bodies.items() if writes(body, found))) != found:
        found = more
    return found


@dataclass(frozen=True)
class Function:
    """One function of the package, with what it calls its queries by."""

    path: str
    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    nouns: Mapping[str, str] = field(hash=False)

    @property
    def room(self) -> str:
        """Statements are built and run within one package, or one module."""
        return self.path.rpartition("/")[0] if self.path.count("/") > 1 else self.path

    @property
    def place(self) -> str:
        return f"{self.path}:{self.name}"

    @cached_property
    def calls(self) -> frozenset[str]:
        return frozenset(_called(each) for each in ast.walk(self.node) if isinstance(each, ast.Call))

    def mentions(self, queries: Collection[Query]) -> bool:
        return any(self._chosen(each, queries) for each in ast.walk(self.node) if isinstance(each, ast.Subscript))

    def _chosen(self, subscript: ast.Subscript, queries: Collection[Query]) -> bool:
        """Whether one of these may be meant. Queries that were handed in may be of any noun, a name that is chosen elsewhere any name."""
        owner = ast.unparse(subscript.value)
        noun = self.nouns.get(owner)
        if noun is None and not owner.endswith("queries"):
            return False
        pattern = _pattern(subscript.slice)
        return any(noun in {None, each[0]} and re.fullmatch(pattern, each[1]) for each in queries)

    def unfenced(self, helpers: Collection[str]) -> list[int]:
        """Lines that run a statement, or have one of the helpers do so, outside the fence."""
        fenced = {id(inner) for block in self._fenced_blocks() for inner in ast.walk(block)}
        return [
            each.lineno
            for each in ast.walk(self.node)
            if isinstance(each, ast.Call) and _called(each) in {*_RUNS, *helpers} and id(each) not in fenced
        ]

    @property
    def opens(self) -> bool:
        """Whether it gets a session by itself, rather than being handed one, or none."""
        return self.has_fence or bool(_OPENS.search(ast.unparse(self.node)))

    @property
    def is_handed_its_session(self) -> bool:
        return not self.opens and isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def has_fence(self) -> bool:
        return any(True for _ in self._fenced_blocks())

    def _fenced_blocks(self) -> Iterator[ast.AST]:
        for each in ast.walk(self.node):
            match each:
                case ast.AsyncWith(items=items, body=body) if any(map(_opens_a_fence, items)) or _begins_with_the_fence(
                    body
                ):
                    yield from body
                case _:
                    pass


def _opens_a_fence(item: ast.withitem) -> bool:
    return isinstance(item.context_expr, ast.Call) and _called(item.context_expr) == _FENCE


def _begins_with_the_fence(body: Iterable[ast.stmt]) -> bool:
    match next(iter(body)):
        case ast.Expr(value=ast.Await(value=ast.Call() as call)):
            return _called(call) == _FENCED_FROM_HERE
        case _:
            return False


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _pattern(index: ast.expr) -> str:
    match index:
        case ast.Constant(value=str(name)):
            return re.escape(name)
        case ast.IfExp(body=one, orelse=other):
            return f"{_pattern(one)}|{_pattern(other)}"
        case ast.JoinedStr(values=parts):
            return "".join(_pattern(each) if isinstance(each, ast.Constant) else ".*" for each in parts)
        case _:
            return ".*"


def functions(source: Source) -> list[Function]:
    nouns = _nouns(source.tree)
    return [Function(source.path, name, node, nouns) for outer in source.tree.body for name, node in _named(outer)]


def _named(node: ast.stmt) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name, node
        case ast.ClassDef(body=body):
            for each in body:
                yield from _named(each)
        case _:
            pass


def _nouns(tree: ast.Module) -> dict[str, str]:
    """What this module calls its queries by: `self._plan`, or `_queries()`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target], value=ast.Call(args=[ast.Constant(value=str(noun))]) as call) if (
                _called(call) == "load_queries"
            ):
                found[ast.unparse(target)] = noun
            case ast.FunctionDef(
                name=name, body=[*_, ast.Return(value=ast.Call(args=[ast.Constant(value=str(noun))]) as call)]
            ) if _called(call) == "load_queries":
                found[f"{name}()"] = noun
            case _:
                pass
    return found


def breaches(house: Iterable[Source], queries: Collection[Query]) -> dict[str, str]:
    """Every function that gets itself a session and runs a statement that writes outside the fence, by its place, with the line."""
    everything = [each for source in house for each in functions(source)]
    leading_to_writes = _leading_to_writes(everything, queries)
    found: dict[str, str] = {}
    for one in leading_to_writes:
        runners = {each.name for each in leading_to_writes if each.room == one.room and each.is_handed_its_session}
        if one.opens:
            lines = one.unfenced(runners) if one.has_fence else [one.node.lineno]
            if lines:
                found[one.place] = f"{one.place}: line {lines[0]} writes outside the fence"
    return found


def _leading_to_writes(everything: Iterable[Function], queries: Collection[Query]) -> list[Function]:
    """Whoever names such a statement, and who calls somebody that builds it, or runs it on a session that it was handed."""
    waiting = [each for each in everything if each.mentions(queries)]
    found: dict[str, Function] = {}
    while waiting:
        one = waiting.pop()
        if one.place in found:
            continue
        found[one.place] = one
        if not one.opens:
            waiting += [each for each in everything if each.room == one.room and one.name in each.calls]
    return list(found.values())
