"""Finds `sql/` and reads it: named queries, numbered migrations, the schema for reading. Knows no query by name.

In a checkout `sql/` lies beside the package, in an installed wheel inside it as `_sql`; nobody else needs to know.
aiosql parses the query files, turns `:name` into `$1` and checks the names against the declared ones. It does not run
them: its asyncpg runner streams rows out of an untyped generator. A query called with its values gives what every
method of an asyncpg connection takes, so that each call site says in asyncpg's own words how many rows it expects:

    login = load_queries("login")
    row = await connection.fetchrow(*login["observation"](login_id=login_id))
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import aiosql
from aiosql.types import QueryFn

_PACKAGE = Path(__file__).parent
_ADDITIVE_MARK = re.compile(r"^-- additive\b", re.MULTILINE)
_MIGRATION_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")


def sql_root() -> Path:
    """The directory that holds `queries/`, `migrations/` and `schema.sql`."""
    in_wheel = _PACKAGE / "_sql"
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / "sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One named query; `parameters` stand in the order of their positions in `sql`."""

    name: str
    description: str
    sql: str
    parameters: tuple[str, ...]

    def __call__(self, **values: object) -> tuple[str, *tuple[object, ...]]:
        """The statement and its arguments in order. A missing or unknown name is a bug and raises TypeError."""
        if values.keys() != set(self.parameters):
            expected, given = ", ".join(self.parameters), ", ".join(values)
            message = f"query {self.name} takes ({expected}), was given ({given})"
            raise TypeError(message)
        return self.sql, *(values[name] for name in self.parameters)


class Queries(Mapping[str, Query]):
    """The queries of one file, by name."""

    def __init__(self, noun: str, queries: Mapping[str, Query]) -> None:
        self._noun = noun
        self._queries = queries

    def __getitem__(self, name: str) -> Query:
        if name not in self._queries:
            message = f"sql/queries/{self._noun}.sql has no query {name}"
            raise KeyError(message)
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


@cache
def load_queries(noun: str, *, root: Path | None = None) -> Queries:
    """Read `queries/<noun>.sql`, once in a process. A name that is given twice, or an undeclared parameter, is a bug and raises."""
    path = (root or sql_root()) / "queries" / f"{noun}.sql"
    loaded = aiosql.from_path(path, "asyncpg", attribute=None, encoding="utf-8")
    return Queries(noun, {name: _query(getattr(loaded, name)) for name in loaded.available_queries})


def query_nouns(*, root: Path | None = None) -> tuple[str, ...]:
    """The nouns that have a query file."""
    return tuple(sorted(path.stem for path in ((root or sql_root()) / "queries").glob("*.sql")))


def _query(function: QueryFn) -> Query:
    # The signature lists the names in the order in which the text first uses them, which is how they are numbered.
    signature = function.__signature__
    names = [] if signature is None else [name for name in signature.parameters if name != "self"]
    return Query(name=function.__name__, description=function.__doc__ or "", sql=function.sql, parameters=tuple(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step; `checksum` does not depend on how a checkout ends its lines.

    `additive`: a comment line that starts with "additive" says that an older refreshd may run on the result.
    """

    number: int
    name: str
    sql: str
    checksum: str
    additive: bool

    @property
    def label(self) -> str:
        return f"{self.number:04}_{self.name}"


def load_migrations(*, root: Path | None = None) -> tuple[Migration, ...]:
    """All migrations in their order. A gap, a double number or an odd file name is a bug and raises ValueError."""
    paths = sorted(((root or sql_root()) / "migrations").glob("*.sql"))
    migrations = tuple(_migration(path) for path in paths)
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        message = f"migrations are not numbered 1, 2, 3, ...: {', '.join(path.name for path in paths)}"
        raise ValueError(message)
    return migrations


def _migration(path: Path) -> Migration:
    matched = _MIGRATION_FILE.fullmatch(path.name)
    if matched is None:
        message = f"a migration is named like 0001_ledger.sql: {path.name}"
        raise ValueError(message)
    sql = path.read_text(encoding="utf-8")  # universal newlines: CRLF reads as LF
    return Migration(
        number=int(matched["number"]),
        name=matched["name"],
        sql=sql,
        checksum=hashlib.sha256(sql.encode()).hexdigest(),
        additive=_ADDITIVE_MARK.search(sql) is not None,
    )


def schema_text(*, root: Path | None = None) -> str:
    """The sum of all migrations, for reading; a test proves that it is."""
    return ((root or sql_root()) / "schema.sql").read_text(encoding="utf-8")
