"""The in-process door, and the HTTP door over real loopback sockets, with the control API behind it."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from refreshd.simulator import FaultRule, InProcessDoor, ScaledClock, Simulator, SimulatorConfig, populate
from refreshd.simulator.http import make_app, running, serve
from tests.simulator.caller import NOBODY, ONE, START, TWO, healthy, of

CONFIG = SimulatorConfig(pending_ratio=0.0, require_token=False, huge_body_bytes=1_000_000)
FLINKS = f"/v3/{CONFIG.customer_id}/BankingServices/"
KEYS = {"X-Api-Key": CONFIG.api_key, "Authorization": f"Bearer {CONFIG.api_secret}"}
CACHED = {"LoginId": ONE, "MostRecentCached": True}


def simulator(*faults: str, config: SimulatorConfig = CONFIG) -> Simulator:
    return Simulator(config, of(healthy(), healthy(TWO)), faults=faults)


def in_process(*faults: str, config: SimulatorConfig = CONFIG) -> InProcessDoor:
    return InProcessDoor(simulator(*faults, config=config), lambda: START, asyncio.get_running_loop().time)


async def authorize(door: InProcessDoor) -> tuple[int, dict[str, Any]]:
    status, headers, body = await door.send("POST", f"{FLINKS}Authorize", KEYS, json.dumps(CACHED).encode())
    assert headers["Content-Type"].startswith("application/json")
    answer = json.loads(body)
    assert isinstance(answer, dict)
    return status, answer


async def test_the_in_process_door_answers() -> None:
    status, body = await authorize(in_process())
    assert (status, body["Login"]["Id"]) == (200, ONE)


async def test_the_in_process_door_takes_headers_in_any_case_and_no_body() -> None:
    status, _, body = await in_process().send("GET", f"{FLINKS}GetNightlyRefreshStatus", KEYS)
    assert (status, json.loads(body)["IneligibleCards"]) == (200, [])


async def test_the_in_process_door_resets_breaks_off_and_hangs() -> None:
    with pytest.raises(ConnectionResetError):
        await authorize(in_process("reset@any"))
    with pytest.raises(asyncio.IncompleteReadError):
        await authorize(in_process("truncated@any"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await authorize(in_process("hang@any"))


@pytest.mark.parametrize(
    ("faults", "config"),
    [(["slow(0.05)@any"], CONFIG), ([], SimulatorConfig(require_token=False, latency_seconds=0.05))],
)
async def test_the_in_process_door_takes_its_time(faults: Iterable[str], config: SimulatorConfig) -> None:
    begun = asyncio.get_running_loop().time()
    await authorize(in_process(*faults, config=config))
    assert asyncio.get_running_loop().time() - begun >= 0.049


@dataclass
class Http:
    """A simulator behind a real socket, and a client of it."""

    flinks: Simulator
    client: aiohttp.ClientSession

    async def authorize(self, login_id: str = ONE) -> tuple[int, dict[str, Any]]:
        body = {"LoginId": login_id, "MostRecentCached": True}
        async with self.client.post(f"{FLINKS}Authorize", json=body, headers=KEYS) as answer:
            return answer.status, await answer.json()

    async def see(self, path: str) -> dict[str, Any]:
        async with self.client.get(f"/_simulator/{path}") as answer:
            body = await answer.json()
            assert answer.status == 200, body
            assert isinstance(body, dict)
            return body

    async def order(self, path: str, body: object = None, *, expect: int = 200) -> dict[str, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        async with self.client.post(f"/_simulator/{path}", data=raw) as answer:
            said = await answer.json()
            assert answer.status == expect, said
            assert isinstance(said, dict)
            return said


@asynccontextmanager
async def over_http(flinks: Simulator, clock: ScaledClock | None = None) -> AsyncIterator[Http]:
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(running(flinks, clock or ScaledClock(START, scale=0)))
        client = await stack.enter_async_context(aiohttp.ClientSession(address))
        yield Http(flinks, client)


async def test_the_http_door_answers_and_keeps_its_connection() -> None:
    async with over_http(simulator()) as http:
        status, body = await http.authorize()
        assert (status, body["Login"]["Id"]) == (200, ONE)
        async with http.client.patch(f"{FLINKS}SetScheduledRefresh", json={"loginid": ONE}, headers=KEYS) as answer:
            assert await answer.json() == f"{ONE} has now been deactivated for automatic refresh"


async def test_answers_carry_the_simulated_date() -> None:
    async with over_http(simulator()) as http, http.client.get("/") as answer:
        assert answer.headers["Date"] == "Mon, 05 Jan 2026 15:00:00 GMT"


async def test_answers_are_compressed_if_the_client_accepts_it() -> None:
    url = f"{FLINKS}GetNightlyRefreshStatus"
    async with over_http(simulator("huge_body@any")) as http:
        headers = {**KEYS, "Accept-Encoding": "gzip"}
        async with aiohttp.ClientSession(http.client._base_url, auto_decompress=False) as raw:
            async with raw.get(url, headers=headers) as answer:
                packed = await answer.read()
                assert answer.headers["Content-Encoding"] == "gzip"
            async with raw.get(url, headers={**KEYS, "Accept-Encoding": "identity"}) as answer:
                assert len(gzip.decompress(packed)) == len(await answer.read()) > 1_000_000 > len(packed)


@pytest.mark.parametrize("rule", ["reset@any", "truncated@any"])
async def test_a_broken_delivery_breaks_the_connection_and_not_the_server(rule: str) -> None:
    async with over_http(simulator(f"{rule}:x3")) as http:
        for _ in range(3):
            with pytest.raises(aiohttp.ClientError):
                await http.authorize()
        assert (await http.authorize())[0] == 200


async def test_a_hang_never_answers_and_does_not_hold_up_the_shutdown() -> None:
    begun = time.monotonic()
    async with over_http(simulator("hang@any:x1")) as http:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await http.authorize()
        async with asyncio.TaskGroup() as group:
            http.flinks.add_faults(["hang@any"])
            hanging = group.create_task(http.authorize())
            await asyncio.sleep(0.05)
            hanging.cancel()
    assert time.monotonic() - begun < 3


async def test_a_server_goes_down_fast_while_a_client_still_waits() -> None:
    flinks, stop, addresses = simulator("hang@any"), asyncio.Event(), asyncio.Queue[str]()
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as client:
        group.create_task(serve(flinks, lambda: START, port=0, stop=stop, started=addresses.put_nowait))
        waiting = group.create_task(_ask(client, f"{await addresses.get()}{FLINKS}Authorize"))
        await asyncio.sleep(0.05)
        stop.set()
        assert await waiting == "broken"
    assert time.monotonic() - begun < 3


async def test_an_application_lets_go_of_hanging_calls_under_any_runner() -> None:
    runner = web.AppRunner(make_app(simulator("hang@any"), lambda: START))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as client:
        waiting = group.create_task(_ask(client, f"http://127.0.0.1:{runner.addresses[0][1]}{FLINKS}Authorize"))
        await asyncio.sleep(0.05)
        await runner.cleanup()
        assert await waiting == "broken"
    assert time.monotonic() - begun < 3


async def _ask(client: aiohttp.ClientSession, url: str) -> str:
    try:
        async with client.post(url, json=CACHED, headers=KEYS):
            return "answered"
    except aiohttp.ClientError:
        return "broken"


async def test_a_taken_port_is_an_os_error() -> None:
    async with running(simulator(), lambda: START) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(OSError, match="address"):
            await serve(simulator(), lambda: START, port=port, stop=asyncio.Event())


async def test_many_clients_at_once_are_all_counted() -> None:
    async with over_http(simulator()) as http, asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(http.authorize())
    assert http.flinks.audit.most_in_60s == 100


async def test_the_summary_shows_what_the_vendor_saw() -> None:
    async with over_http(simulator()) as http:
        await http.authorize()
        summary = await http.see("summary")
        assert summary["calls"]["by_operation"] == {"Authorize": 1}
        assert summary["most_in_60s"] == 1
        assert summary["logins"]["on"] == 2
        assert summary["breaches"]["total"] == 0
        await http.order("reset-counters")
        assert (await http.see("summary"))["calls"]["total"] == 0


async def test_calls_and_logins_are_read_in_pages() -> None:
    async with over_http(simulator()) as http:
        for _ in range(3):
            await http.authorize()
        first = await http.see("calls?limit=2")
        rest = await http.see(f"calls?since={first['next']}")
        assert [call["number"] for call in first["calls"] + rest["calls"]] == [1, 2, 3]
        assert (await http.see("calls?since=3")) == {"calls": [], "next": 3}
        page = await http.see("logins?limit=1")
        last = await http.see(f"logins?after={page['next']}")
        assert [row["login_id"] for row in page["logins"] + last["logins"]] == [ONE, TWO]
        assert (last["next"], last["total"]) == (None, 2)


async def test_logins_can_be_afflicted_reconnected_switched_and_forgotten() -> None:
    async with over_http(simulator()) as http:
        await http.order("afflict", {"login_id": ONE, "code": "RETRY_LATER", "status": 400})
        assert (await http.authorize())[0] == 400
        await http.order("reconnect", {"login_id": ONE, "scheduled": False})
        row = await http.see(f"login?login_id={ONE}")
        assert (row["scheduled"], row["code"], row["state"]) == (False, None, "Completed")
        await http.order("flag", {"login_id": ONE, "scheduled": True})
        await http.order("stuck", {"login_id": ONE})
        row = await http.see(f"login?login_id={ONE}")
        assert (row["scheduled"], row["stuck"], row["eligible"]) == (True, True, True)
        await http.order("forget", {"login_id": ONE})
        assert (await http.authorize())[0] == 401


async def test_the_companys_word_can_be_given_changed_and_withdrawn() -> None:
    async with over_http(simulator()) as http:
        assert await http.order("inactive", {"set": [ONE]}) == {"inactive": 1}
        assert await http.order("inactive", {"add": [TWO], "remove": [ONE.upper()]}) == {"inactive": 1}
        await http.authorize(ONE)
        await http.authorize(TWO)
        summary = await http.see("summary")
        assert summary["breaches"]["by_rule"] == {"authorize_on_inactive": 1}
        assert summary["breaches"]["latest"][0]["login_id"] == TWO
        assert await http.order("inactive", {"set": None}) == {"inactive": None}


async def test_the_date_can_be_set_and_nights_are_lived_through() -> None:
    async with over_http(simulator()) as http:
        assert await http.see("date") == {"date": "2026-01-05T15:00:00+00:00", "scale": 0.0}
        await http.order("date", {"date": "2026-01-06T09:00"})
        await http.order("date", {"forward_hours": 24})
        assert (await http.see("summary"))["bills"] == {"total": 4, "logins": 2}


async def test_dates_run_as_fast_as_the_scale_says() -> None:
    async with over_http(simulator(), ScaledClock(START, scale=86_400 * 20)) as http:
        await asyncio.sleep(0.1)
        assert (await http.see("summary"))["bills"]["total"] >= 2


async def test_an_institution_can_be_taken_down_and_brought_up() -> None:
    async with over_http(simulator()) as http:
        await http.order("institution", {"name": "Reliable Bank", "down_for_hours": 48, "code": "RETRY_LATER"})
        down = (await http.see("summary"))["institutions"][0]
        assert down["down_until"] == "2026-01-07T15:00:00+00:00"
        await http.order("date", {"forward_hours": 24})
        assert (await http.authorize())[1]["FlinksCode"] == "RETRY_LATER"
        await http.order("institution", {"name": "Reliable Bank", "down_for_hours": 0})
        assert (await http.see("summary"))["institutions"][0]["down_until"] is None


async def test_faults_can_be_scripted_over_http() -> None:
    async with over_http(simulator()) as http:
        told = await http.order("faults", {"rules": ["deny@Authorize:x2"]})
        assert told["rules"][0]["left"] == 2
        assert (await http.authorize())[0] == 401
        assert (await http.see("faults"))["rules"][0]["left"] == 1
        assert len((await http.order("faults", {"rules": ["hang@any"], "replace": False}))["rules"]) == 2
        assert (await http.order("faults", {"rules": []}))["rules"] == []
        assert (await http.authorize())[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "hint"),
    [
        ("faults", {"rules": ["nonsense"]}, 400, "no fault rule"),
        ("faults", {"rules": "deny@any"}, 400, "list of strings"),
        ("faults", b"{", 400, "JSON"),
        ("faults", [1], 400, "object"),
        ("afflict", {"login_id": NOBODY, "code": "X"}, 404, "no login"),
        ("afflict", {"login_id": ONE}, 400, "code must be"),
        ("afflict", {"login_id": ONE, "code": "X", "status": "no"}, 400, "status"),
        ("flag", {"login_id": ONE}, 400, "scheduled must be"),
        ("institution", {"name": "No Bank", "down_for_hours": 1}, 404, "Reliable Bank"),
        ("institution", {"name": "Reliable Bank"}, 400, "down_for_hours"),
        ("date", {"date": "tomorrow"}, 400, "2026-01-05T09:00"),
        ("date", {"forward_hours": 99_999}, 400, "leap"),
        ("rubbish", {}, 404, "POST afflict"),
    ],
)
async def test_a_wrong_order_says_what_is_wrong_and_changes_nothing(
    path: str, body: object, status: int, hint: str
) -> None:
    async with over_http(simulator("deny@any")) as http:
        assert hint in (await http.order(path, body, expect=status))["error"]
        assert len((await http.see("faults"))["rules"]) == 1


async def test_a_wrong_page_number_is_said() -> None:
    async with over_http(simulator()) as http, http.client.get("/_simulator/calls?since=abc") as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "since must be a whole number.")


async def test_a_real_clock_cannot_be_set() -> None:
    async with (
        running(simulator(), lambda: START) as address,
        aiohttp.ClientSession(address) as client,
        client.post("/_simulator/date", json={"forward_hours": 1}) as answer,
    ):
        assert answer.status == 400
        assert "cannot be set" in (await answer.json())["error"]


async def test_every_fault_at_once_leaves_the_server_standing() -> None:
    kinds = ("reset", "truncated", "garbage", "empty_body", "html_502", "redirect", "deny", "throttle")
    flinks = Simulator(CONFIG, populate(7, 50), faults=[FaultRule.parse(f"{kind}@any:0.1") for kind in kinds])
    async with over_http(flinks) as http:
        for login in list(flinks.world.logins):
            try:
                await http.authorize(login)
            except (aiohttp.ClientError, ValueError):
                continue
        summary = await http.see("summary")
    assert summary["calls"]["total"] == 50
    assert set(summary["faults"]) <= set(kinds)


def test_a_clock_neither_runs_backwards_nor_is_naive() -> None:
    with pytest.raises(ValueError, match="backwards"):
        ScaledClock(START, scale=-1)
    with pytest.raises(ValueError, match="aware"):
        ScaledClock(START.replace(tzinfo=None))
