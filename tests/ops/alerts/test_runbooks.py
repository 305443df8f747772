"""Each alert has its runbook and each runbook its alert; what stands in one can be typed as it stands, against a real installation."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import yaml

from deploy.prometheus.rules.table import alerts
from tests.ops.alerts.test_rules import metrics_shown, names_in
from tests.support.commands import Ran, refreshd, start_refreshd
from tests.support.company import company
from tests.support.documents import ROOT, Document, document
from tests.support.postgres import PostgresServer
from tests.support.session import commands, expected_code

DIRECTORY = ROOT / "docs" / "runbooks"
INDEX = document("docs/runbooks/README.md")
BOOKS = [document(f"docs/runbooks/{path.name}") for path in sorted(DIRECTORY.glob("Refreshd*.md"))]
NAMES = list(dict.fromkeys(alert.name for alert in alerts()))
MOST_LINES = 110
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "It is over when"]
WORDS = {"run", "host"}
ON_THE_HOST = {"systemctl", "journalctl", "kubectl", "psql", "timedatectl", "chronyc"}
CHANGING = {"approve", "reject", "undo", "pause", "resume", "migrate", "import"}

each_book = pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.path.stem)


def blocks(book: Document, language: str, word: str = "") -> list[str]:
    return [fence.text for fence in book.fences if fence.language == language and (not word or word in fence.words)]


# Files and form ---------------------------------------------------------------------------------------------------------------------


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(book.path.stem for book in BOOKS) == sorted(NAMES)


@each_book
def test_a_runbook_says_the_severity_the_summary_and_the_first_command_before_anything_else(book: Document) -> None:
    mine = [alert for alert in alerts() if alert.name == book.path.stem]
    severities = " and ".join(dict.fromkeys(str(alert.severity) for alert in mine))
    head, _, rest = book.text.partition("\n## ")
    assert head.startswith(f"# {book.path.stem}\n\n**{severities}** · {mine[0].summary}\n")
    assert blocks(Document(book.path, head), "sh", "run") == [f"{mine[0].first}\n"]
    assert re.findall(r"^## (.+)$", f"## {rest}", flags=re.MULTILINE) == HEADINGS
    assert len(book.text.splitlines()) <= MOST_LINES


@each_book
def test_every_block_of_a_runbook_is_of_a_kind_that_is_tested(book: Document) -> None:
    for fence in book.fences:
        assert (fence.language in {"sh", "sql"} and set(fence.words) <= WORDS and fence.words) or (
            fence.info == "promql"
        ), fence


def test_the_index_lists_every_alert_as_it_is() -> None:
    rows = INDEX.table("alert", "severity", "it means", "run first")
    by_name = {name: [alert for alert in alerts() if alert.name == name] for name in NAMES}
    assert rows == [
        [
            f"[{name}]({name}.md)",
            " and ".join(dict.fromkeys(str(alert.severity) for alert in mine)),
            mine[0].summary,
            f"`{mine[0].first}`",
        ]
        for name, mine in by_name.items()
    ]


# What is typed elsewhere ------------------------------------------------------------------------------------------------------------


@each_book
def test_every_query_of_prometheus_parses_and_reads_series_that_exist(book: Document) -> None:
    known = metrics_shown() | {"process_cpu_seconds_total"}
    queries = blocks(book, "promql")
    assert queries, "how does one see that it is over?"
    for query in queries:
        names = {re.sub(r"_(?:sum|count)$", "", name) if name not in known else name for name in names_in(query)}
        assert names <= known, query


@each_book
def test_a_command_of_the_host_names_what_is_deployed(book: Document) -> None:
    kubernetes = [yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "deploy/kubernetes").glob("*.yaml")]
    named = {f"{each['kind']} {each['metadata']['name']}" for each in kubernetes if "metadata" in each}
    assert (ROOT / "deploy" / "systemd" / "refreshd.service").exists()
    assert {"Deployment refreshd", "Namespace refreshd"} <= named
    for line in (line for text in blocks(book, "sh", "host") for line in commands(text)):
        program, *words = line.split()
        assert program in ON_THE_HOST, line
        assert program != "kubectl" or words[:2] == ["--namespace", "refreshd"], line
        assert {word for word in words if word.startswith("deploy/")} <= {"deploy/refreshd"}, line


# What is typed here -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A ledger of sixty logins after its first day: a plan is held, and logins of every common kind are in it."""

    env: dict[str, str]
    database_url: str
    plan_id: str
    login_id: str

    def filled(self, text: str) -> str:
        """What the reader of a runbook puts in the place of the capitals."""
        return text.replace("PLAN_ID", self.plan_id).replace("LOGIN_ID", self.login_id)

    def at(self, url: str) -> "Installation":
        env = {**self.env, "REFRESHD_DATABASE_URL": url}
        return Installation(env=env, database_url=url, plan_id=self.plan_id, login_id=self.login_id)

    def typed(self, line: str) -> Ran:
        argv = _words(self.filled(line))
        assert argv[0] == "refreshd", line
        return refreshd(*argv[1:], env=self.env)

    def sql(self, text: str) -> None:
        asyncio.run(_execute(self.database_url, self.filled(text)))


async def _execute(url: str, text: str) -> None:
    """As `psql` would, without a search path of the ledger's."""
    session = await asyncpg.connect(url)
    try:
        await session.execute(text)
    finally:
        await session.close()


def _words(line: str) -> list[str]:
    """The words of a shell line, by the shell's own rules."""
    bash = shutil.which("bash")
    assert bash is not None, "the documents speak to bash"
    ran = subprocess.run(  # noqa: S603 # our own documents
        [bash, "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    )
    return ran.stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def prepared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with (
        postgres.database(migrated=True) as url,
        company(url, tmp_path_factory.mktemp("company"), logins=60, inactive=9) as made,
    ):
        assert refreshd("import", str(made.clients), env=made.env).code == 0
        assert refreshd("once", env=made.env).code == 3, "the first plan is held"
        (plan,) = json.loads(refreshd("plans", "--json", env=made.env).out)
        held = json.loads(refreshd("logins", "--verdict", "held", "--json", env=made.env).out)
        yield Installation(env=made.env, database_url=url, plan_id=plan["plan_id"], login_id=held[0]["login_id"])


@contextmanager
def for_this_book(book: Document, prepared: Installation, postgres: PostgresServer) -> Iterator[Installation]:
    """The installation itself for those who only look, and a copy for those who decide something."""
    if changes_something(book):
        with postgres.copy_of(prepared.database_url) as url:
            yield prepared.at(url)
    else:
        yield prepared


def changes_something(book: Document) -> bool:
    verbs = {line.split()[1] for text in blocks(book, "sh", "run") for line in commands(text)}
    return bool(verbs & CHANGING) or any(not text.startswith("SELECT") for text in blocks(book, "sql", "run"))


_LOOKED: dict[str, Ran] = {}
"""What was typed before into the installation that nobody changes: most runbooks begin with the same few looks."""


@pytest.mark.slow
@each_book
def test_everything_in_a_runbook_can_be_typed_as_it_stands(
    book: Document, prepared: Installation, postgres: PostgresServer
) -> None:
    lines = [line for text in blocks(book, "sh", "run") for line in commands(text) if line.startswith("refreshd ")]
    assert lines
    with for_this_book(book, prepared, postgres) as here:
        for line in lines:
            ran = _LOOKED.get(line) if here is prepared else None
            if ran is None:
                ran = here.typed(line)
            if here is prepared:
                _LOOKED[line] = ran
            assert ran.code == expected_code(line), f"{line}\n{ran.out}{ran.err}"
        for text in blocks(book, "sql", "run"):
            here.sql(text)


def test_what_could_not_be_typed_is_found(prepared: Installation) -> None:
    assert prepared.typed("refreshd explain ffffffff-1111-4222-8333-444444444444").code != 0
    with pytest.raises(asyncpg.UndefinedColumnError):
        prepared.sql("SELECT verdikt FROM refreshd.login")


def test_an_orphan_that_is_linked_as_the_runbook_says_is_a_leak_that_refreshd_will_see_to(
    prepared: Installation, postgres: PostgresServer
) -> None:
    book = next(each for each in BOOKS if each.path.stem == "RefreshdUnknownLogins")
    (links,) = [text for text in blocks(book, "sql", "run") if text.startswith("INSERT")]
    orphan = "0a0a0a0a-1111-4222-8333-444444444444"
    with postgres.copy_of(prepared.database_url) as url:
        here = prepared.at(url)
        here.sql(f"INSERT INTO refreshd.orphan (login_id, first_reported_at) VALUES ('{orphan}', now())")  # noqa: S608
        here.sql(links)
        told = json.loads(refreshd("explain", orphan, "--json", env=here.env).out)
        assert told["active"] is False


@pytest.mark.slow
def test_a_running_daemon_answers_what_the_runbooks_ask_it(prepared: Installation, postgres: PostgresServer) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl not found: apt-get install curl")
    asked = {line for book in BOOKS for text in blocks(book, "sh", "run") for line in commands(text) if "curl" in line}
    assert asked
    with postgres.copy_of(prepared.database_url) as url, serving(prepared.at(url)) as address:
        for line in asked:
            assert "http://127.0.0.1:9877/" in line
            argv = _words(line.replace("http://127.0.0.1:9877", address))
            ran = subprocess.run([curl, *argv[1:]], capture_output=True, text=True, check=False)  # noqa: S603
            assert (ran.returncode, ran.stdout != "") == (0, True), ran.stderr


@contextmanager
def serving(here: Installation) -> Iterator[str]:
    """A daemon's address, while it runs."""
    process = start_refreshd("run", env=here.env)
    try:
        assert process.stderr is not None
        lines = (json.loads(line) for line in process.stderr if line.startswith("{"))
        yield next(line["address"] for line in lines if line["event"] == "serving").rstrip("/")
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_the_runbooks_name_no_path_that_is_not_there() -> None:
    for book in (*BOOKS, INDEX):
        for path in re.findall(r"`((?:deploy|docs|refreshd)/[\w./-]+)`", book.text):
            assert Path(ROOT / path).exists(), (book.name, path)
