import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from importlib import resources

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from refreshd import policies
from refreshd.core.errors import SettingsError
from refreshd.core.model import Pause, PlanState, VerdictName
from refreshd.health import Condition, Health, Role
from refreshd.inquiry import Reach
from refreshd.overview import BudgetUse, Overview, Tone, attention, fleet
from refreshd.settings import Settings, settings_in_force
from refreshd.web import Site, base_url, make_app, parse_listen, serve
from tests.support import observed
from tests.support.observed import NOW

UNKNOWN = Overview(now=NOW, version="1.2.3", mode="enforce")
KNOWN = Overview(
    now=NOW,
    version="1.2.3",
    mode="enforce",
    last_pass=replace(observed.pass_record(), finished_at=NOW - timedelta(seconds=12)),
    totals=observed.totals(),
    budget=BudgetUse(used=21, rate_per_minute=30),
    held=(observed.held_plan(),),
    next_routine_at=NOW + timedelta(hours=23),
)


def healthy(role: Role = Role.LEADER) -> Health:
    health = Health()
    health.become(role)
    for condition in Condition:
        health.holds(condition)
    return health


OFFLINE = Site(
    registry=observed.metrics().registry,
    health=healthy(),
    overview=lambda: UNKNOWN,
    reach=Reach(),
    story_terms=lambda: policies.story_terms(Settings()),
    settings=lambda: settings_in_force(Settings()),
)
"""A site whose ledger is out of reach."""


@asynccontextmanager
async def site(health: Health | None = None, overview: Overview = KNOWN) -> AsyncIterator[aiohttp.ClientSession]:
    shown = observed.metrics()
    observed.everything_happens(shown)
    app = make_app(replace(OFFLINE, registry=shown.registry, health=health or healthy(), overview=lambda: overview))
    async with serve(app, "127.0.0.1:0") as url, aiohttp.ClientSession(base_url=url) as session:
        yield session


async def text(path: str, *, health: Health | None = None, overview: Overview = KNOWN) -> tuple[int, str]:
    async with site(health, overview) as session, session.get(path) as response:
        return response.status, await response.text()


async def page(overview: Overview = KNOWN, health: Health | None = None) -> str:
    """The page as a person reads it: words only."""
    status, html = await text("/", health=health, overview=overview)
    assert status == 200
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# Probes ---------------------------------------------------------------------------------------------------------------------------------


async def test_livez_says_alive_while_every_loop_makes_progress() -> None:
    assert await text("/livez") == (200, "alive\n")


async def test_livez_names_each_late_loop_in_plain_text() -> None:
    health = healthy()
    health.expect("passes", within_seconds=120, at=-1e6)
    status, body = await text("/livez", health=health)
    assert status == 503
    assert body.startswith("late\npasses: no progress for ")


async def test_readyz_of_a_leader_says_so() -> None:
    assert await text("/readyz") == (200, "ready\nthis daemon leads its ledger\n")


async def test_readyz_of_a_standby_is_ready_and_says_that_it_waits() -> None:
    status, body = await text("/readyz", health=healthy(Role.STANDBY))
    assert status == 200
    assert "standby" in body


async def test_readyz_names_every_reason_why_not() -> None:
    health = healthy(Role.STARTING)
    health.fails(Condition.SCHEMA, "migration 0002 is missing; run refreshd migrate")
    status, body = await text("/readyz", health=health)
    assert status == 503
    assert body == "not ready\nstill starting\nschema: migration 0002 is missing; run refreshd migrate\n"


async def test_readyz_of_a_leader_tells_of_a_pause_and_is_ready_all_the_same() -> None:
    health = healthy()
    health.remark("pause", "vendor writes are paused since yesterday by ann: moving")
    status, body = await text("/readyz", health=health)
    assert (status, body.splitlines()[-1]) == (200, "vendor writes are paused since yesterday by ann: moving")


async def test_the_page_and_readyz_say_that_the_client_list_is_not_taken_and_the_page_says_a_pause_once() -> None:
    health = healthy()
    health.remark("pause", "vendor writes are paused")
    health.remark("source", "the client list is not taken: it lost <half>")
    words = await page(health=health)
    assert "Worth knowing The client list is not taken: it lost &lt;half&gt;." in words
    assert "writes are paused" not in words
    status, said = await text("/readyz", health=health)
    assert (status, said.splitlines()[2:]) == (
        200,
        ["vendor writes are paused", "the client list is not taken: it lost <half>"],
    )


async def test_the_page_says_that_writes_are_paused_by_whom_and_why() -> None:
    words = await page(replace(KNOWN, pause=Pause(paused_at=NOW, paused_by="ann@desk", reason="a <move>")))
    assert "Vendor writes are paused" in words
    assert "ann@desk: a &lt;move&gt;" in words
    assert "paused" not in await page()


# Metrics --------------------------------------------------------------------------------------------------------------------------------


async def test_metrics_speak_the_text_format_by_default() -> None:
    async with site() as session, session.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'refreshd_logins{verdict="fresh"} 231.0' in await response.text()


async def test_metrics_speak_openmetrics_when_asked() -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with site() as session, session.get("/metrics", headers=accept) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {each.name for each in parse_openmetrics(await response.text())}  # type: ignore[no-untyped-call]
        assert "refreshd_logins" in names


async def test_single_metrics_may_be_asked_for_by_name() -> None:
    status, body = await text("/metrics?name[]=refreshd_leader")
    assert status == 200
    assert [line for line in body.splitlines() if not line.startswith("#")] == ["refreshd_leader 1.0"]


# Every path -----------------------------------------------------------------------------------------------------------------------------


PATHS = ("/", "/config", "/metrics", "/livez", "/readyz", "/style.css", "/page.js", "/icon.svg")


@pytest.mark.parametrize("path", PATHS)
async def test_head_answers_as_get_does_without_a_body(path: str) -> None:
    async with site() as session, session.head(path) as response:
        assert response.status == 200
        assert await response.read() == b""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed_over_http(path: str, method: str) -> None:
    async with site() as session, session.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert "nothing can be changed" in await response.text()


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/..%2f..%2fetc/passwd", "/<script>"])
async def test_an_unknown_path_is_answered_in_plain_words_that_do_not_repeat_it(path: str) -> None:
    status, body = await text(path)
    assert status == 404
    assert body == "There is nothing here. Try / (the page for people), /metrics, /livez, /readyz.\n"


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
async def test_every_answer_forbids_inline_scripts_frames_and_foreign_sources(path: str) -> None:
    async with site() as session, session.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Server"] == "refreshd"


# The page for people --------------------------------------------------------------------------------------------------------------------


async def test_the_page_says_who_this_is_and_what_it_does() -> None:
    said = await page()
    assert "leader enforce ready" in said
    assert "12 s ago judged 400, intended 3, held 12" in said
    assert "21 of 30 calls in the last minute" in said
    assert "Next routine in 23 h 2026-03-03 15:00 UTC" in said
    assert "Newest report 9 min ago" in said
    assert "refreshd 1.2.3" in said


async def test_the_page_puts_what_needs_a_person_first_with_the_command_to_begin_with() -> None:
    said = await page()
    assert "12 billed until somebody approves their plan refreshd plans" in said
    assert "41 waiting for their user to connect the bank again refreshd logins --verdict reconnect" in said
    assert said.index("What needs you") < said.index("Logins by verdict")


async def test_the_page_shows_every_verdict_of_the_fleet() -> None:
    said = await page()
    assert "400 logins in the ledger" in said
    for verdict, count in observed.totals().by_verdict.items():
        assert f" {verdict} {count} " in said


async def test_a_held_plan_stands_with_its_reason_and_the_command_that_approves_it() -> None:
    said = await page()
    assert "Disable 62 logins held Would disable 62 of 400 logins" in said
    assert "refreshd approve 9f31c6d2a7e0" in said


async def test_an_approved_plan_stands_with_what_is_left_and_no_command() -> None:
    said = await page(replace(KNOWN, held=(observed.held_plan(PlanState.APPROVED),)))
    assert "approved until 2026-03-03 15:00 UTC, 58 still to do" in said
    assert "refreshd approve" not in said


async def test_what_is_not_known_is_said_to_be_unknown_and_never_a_zero() -> None:
    said = await page(UNKNOWN)
    assert "The ledger has not been counted yet." in said
    assert "Last pass none yet" in said
    assert "Held plans" not in said
    assert not re.search(r"\b0\b", said.replace("16:00", ""))


async def test_a_standby_sends_the_reader_to_the_leader() -> None:
    said = await page(UNKNOWN, healthy(Role.STANDBY))
    assert "This daemon is a standby, and nobody is known to lead." in said


async def test_trouble_of_the_daemon_itself_stands_on_top() -> None:
    health = healthy()
    health.fails(Condition.DATABASE, "Postgres does not answer")
    health.expect("passes", within_seconds=120, at=-1e6)
    said = await page(health=health)
    assert "Not ready database: Postgres does not answer Late: passes: no progress" in said
    assert said.index("Postgres does not answer") < said.index("What needs you")


async def test_a_pass_that_failed_says_why() -> None:
    said = await page(replace(KNOWN, last_pass=observed.pass_record(failure="database")))
    assert "failed: database" in said


async def test_words_from_outside_are_text_and_never_markup() -> None:
    plan = replace(observed.held_plan(), sentence="<script>alert(1)</script>")
    _, html = await text("/", overview=replace(KNOWN, held=(plan,)))
    assert html.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name in {"href", "src"}]


async def test_the_page_loads_its_own_files_and_nothing_from_elsewhere() -> None:
    async with site() as session:
        async with session.get("/") as response:
            links = _Links()
            links.feed(await response.text())
        for target in ("/style.css", "/page.js", "/icon.svg", "/metrics", "/livez", "/readyz"):
            assert target in links.targets
            async with session.get(target) as response:
                assert response.status == 200, target
    assert all(target.startswith(("/", "#")) for target in links.targets)
    assert links.tags.isdisjoint({"iframe", "img", "style"})
    assert "style" not in links.attributes


def test_the_style_sheet_knows_light_and_dark_and_phones_and_loads_nothing() -> None:
    css = resources.files("refreshd").joinpath("templates", "style.css").read_text("utf-8")
    assert "prefers-color-scheme: dark" in css
    assert "max-width: 40rem" in css
    assert "url(" not in css
    assert "@import" not in css


# How the overview reads ------------------------------------------------------------------------------------------------------------------


def test_the_fleet_is_worst_first_and_its_bars_compare_with_the_most_frequent_verdict() -> None:
    rows = fleet(observed.totals())
    assert {row.verdict for row in rows} == set(VerdictName)
    assert rows[0].verdict is VerdictName.LEAKING
    assert {row.verdict: row.percent for row in rows}[VerdictName.FRESH] == 100
    assert {row.verdict: row.percent for row in rows}[VerdictName.DISABLED] == 36.4


def test_an_empty_ledger_has_a_fleet_of_zeros_and_needs_nobody() -> None:
    empty = replace(observed.totals(), by_verdict={})
    assert {row.percent for row in fleet(empty)} == {0.0}
    assert {row.tone for row in fleet(empty)} == {Tone.CALM}
    assert attention(empty) == ()


def test_what_heals_by_itself_needs_nobody() -> None:
    calm = {VerdictName.FRESH: 9, VerdictName.FAILED: 3, VerdictName.DISABLED: 2, VerdictName.UNSEEN: 1}
    assert attention(replace(observed.totals(), by_verdict=calm)) == ()


# Listening --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:9877", "127.0.0.1", 9877),
        ("localhost:0", "localhost", 0),
        ("[::1]:9877", "::1", 9877),
        ("0.0.0.0:65535", "0.0.0.0", 65535),  # noqa: S104 # what an operator may write
    ],
)
def test_an_address_is_a_host_and_a_port(listen: str, host: str, port: int) -> None:
    assert parse_listen(listen) == (host, port)


@pytest.mark.parametrize(
    "listen",
    ["", "9877", ":9877", "localhost", "localhost:", "localhost:http", "::1:9877", "[::1]", "h:65536", "[h]:1"],
)
def test_what_is_no_address_is_refused_with_a_hint(listen: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_listen(listen)
    assert "host:port" in caught.value.hint


async def test_port_0_gives_the_actual_address_back() -> None:
    app = make_app(OFFLINE)
    async with serve(app, "127.0.0.1:0") as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", url)


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:9877"), ("localhost", "http://localhost:9877")])
def test_the_base_url_can_be_typed_into_a_browser(host: str, url: str) -> None:
    assert base_url(host, 9877) == url


async def test_a_port_that_is_taken_is_one_clear_sentence() -> None:
    app = make_app(OFFLINE)
    async with serve(app, "127.0.0.1:0") as url:
        taken = url.removeprefix("http://")
        other = make_app(OFFLINE)
        with pytest.raises(SettingsError, match=f"cannot listen on {taken}") as caught:
            async with serve(other, taken):
                pass
    assert "REFRESHD_LISTEN" in caught.value.hint
