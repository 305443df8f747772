"""What leaves as a log line: its form, and what never gets into one."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
import structlog

from refreshd.core.repeats import MOST_IN_A_SPAN, SPAN_SECONDS
from refreshd.logs import REDACTED, configure_logging, counted, masked

HIDDEN = "hunter2"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What was logged as JSON; puts the logging of the test run back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def last(lines: io.StringIO) -> dict[str, object]:
    line: dict[str, object] = json.loads(lines.getvalue().splitlines()[-1])
    return line


def test_a_line_is_an_event_with_fields_level_logger_and_a_utc_time(lines: io.StringIO) -> None:
    login = UUID("b8a3e5a4-0000-4000-8000-000000000001")
    structlog.get_logger("refreshd.engine").info("pass_finished", judged=3, login_id=login)
    line = last(lines)
    stamp = datetime.fromisoformat(str(line.pop("timestamp")))
    assert stamp.utcoffset() == timedelta(0)
    assert line == {
        "event": "pass_finished",
        "judged": 3,
        "login_id": str(login),
        "level": "info",
        "logger": "refreshd.engine",
    }


def test_what_libraries_log_takes_the_same_form(lines: io.StringIO) -> None:
    logging.getLogger("asyncpg").warning("connection %s was reset", 7)
    line = last(lines)
    assert (line["event"], line["logger"], line["level"]) == ("connection 7 was reset", "asyncpg", "warning")


def test_every_request_of_a_probe_is_not_a_line(lines: io.StringIO) -> None:
    logging.getLogger("aiohttp.access").info("GET /livez 200")
    assert lines.getvalue() == ""


def test_a_warning_of_python_is_a_line(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("something is old", stacklevel=1)
    assert "something is old" in str(last(lines)["event"])


def test_context_is_on_every_line_below_it(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(pass_id=7):
        structlog.get_logger().info("judged")
    assert last(lines)["pass_id"] == 7


@pytest.mark.parametrize(
    "key",
    [
        "secret",
        "flinks_secret_key",
        "token",
        "authorizeToken",
        "Authorization",
        "x-api-key",
        "api_key",
        "flinks-auth-key",
        "password",
        "UserName",
        "username",
        "dsn",
        "cookie",
    ],
)
def test_the_value_of_a_key_that_names_a_secret_is_masked(lines: io.StringIO, key: str) -> None:
    structlog.get_logger().info("call", **{key: HIDDEN}, nested={"headers": [{key: HIDDEN}]})
    assert last(lines)[key] == REDACTED
    assert HIDDEN not in lines.getvalue()


def test_the_password_of_a_url_is_masked_wherever_it_stands(lines: io.StringIO) -> None:
    url = f"postgresql://refreshd:{HIDDEN}@db.example:5432/ledger"
    structlog.get_logger().info(f"connecting to {url}", where=[url], error=OSError(f"no route to {url}"))
    logging.getLogger("asyncpg").error("cannot reach %s", url)
    assert HIDDEN not in lines.getvalue()
    assert "postgresql://refreshd:***@db.example:5432/ledger" in lines.getvalue()


def test_a_traceback_is_masked_and_shows_no_local_variables(lines: io.StringIO) -> None:
    def fails() -> None:
        local = HIDDEN
        message = f"bad url postgresql://u:{local}@db/x"
        raise ValueError(message)

    try:
        fails()
    except ValueError:
        structlog.get_logger().exception("failed")
    exception = str(last(lines)["exception"])
    assert "ValueError: bad url postgresql://u:***@db/x" in exception
    assert HIDDEN not in lines.getvalue()


def test_a_bearer_token_in_a_text_is_masked() -> None:
    assert masked(f"header Authorization: Bearer {HIDDEN} was refused") == (
        f"header Authorization: Bearer {REDACTED} was refused"
    )


def test_whether_a_secret_is_there_may_be_said(lines: io.StringIO) -> None:
    structlog.get_logger().info("settings", api_key=True, secret_key=None)
    assert (last(lines)["api_key"], last(lines)["secret_key"]) == (True, None)


def test_lines_for_people_are_no_json_and_hide_local_variables_too(lines: io.StringIO) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, as_json=False)
    hidden = HIDDEN
    try:
        int(f"no number, and {len(hidden)} letters")
    except ValueError:
        structlog.get_logger().exception("failed", api_key=HIDDEN)
    assert "failed" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    assert HIDDEN not in stream.getvalue()


def test_debug_lines_are_left_out_unless_asked_for(lines: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert lines.getvalue() == ""
    configure_logging(stream=lines, level=logging.DEBUG)
    structlog.get_logger().debug("detail")
    assert last(lines)["event"] == "detail"


# Repeats ----------------------------------------------------------------------------------------------------------------------------


def events(lines: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in lines.getvalue().splitlines()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the limit on repeats goes by."""
    at = [1_000.0]
    monkeypatch.setattr("refreshd.logs.time", SimpleNamespace(monotonic=lambda: at[0]))
    return at


def test_a_trouble_of_a_thousand_logins_is_ten_lines_and_one_that_counts_the_rest(
    lines: io.StringIO, clock: list[float]
) -> None:
    log = structlog.get_logger()
    for number in range(1_000):
        log.warning("work_put_off", kind="routine", login_id=number)
    assert events(lines) == ["work_put_off"] * MOST_IN_A_SPAN
    clock[0] += SPAN_SECONDS
    log.info("pass_finished")
    assert events(lines)[MOST_IN_A_SPAN:] == ["repeats_left_out", "pass_finished"]
    told = json.loads(lines.getvalue().splitlines()[MOST_IN_A_SPAN])
    assert (told["of"], told["kind"], told["lines"]) == ("work_put_off", "routine", 1_000 - MOST_IN_A_SPAN)
    log.warning("work_put_off", kind="routine", login_id=1_001)
    assert events(lines)[-1] == "work_put_off"


def test_another_kind_of_trouble_is_not_left_out_because_of_the_first(lines: io.StringIO, clock: list[float]) -> None:
    for number in range(50):
        structlog.get_logger().warning("work_put_off", kind="routine", login_id=number)
    structlog.get_logger().warning("work_put_off", kind="change")
    structlog.get_logger().error("credential_refused")
    assert events(lines)[MOST_IN_A_SPAN:] == ["work_put_off", "credential_refused"]


def test_what_is_no_trouble_is_never_left_out(lines: io.StringIO, clock: list[float]) -> None:
    for number in range(3 * MOST_IN_A_SPAN):
        structlog.get_logger().info("change_confirmed", login_id=number)
    assert len(events(lines)) == 3 * MOST_IN_A_SPAN


def test_lines_are_counted_by_level_as_they_are_written_whatever_wrote_them(
    lines: io.StringIO, clock: list[float]
) -> None:
    levels: list[str] = []
    with counted(levels.append):
        for _ in range(2 * MOST_IN_A_SPAN):
            structlog.get_logger().warning("work_put_off")
        configure_logging(stream=lines)
        logging.getLogger("asyncpg").error("lost")
        structlog.get_logger().debug("unwanted")
    structlog.get_logger().error("afterwards")
    assert levels == ["warning"] * MOST_IN_A_SPAN + ["error"]


# For people -------------------------------------------------------------------------------------------------------------------------


def test_a_line_for_people_has_the_time_of_day_no_empty_field_and_ends_with_what_to_do(lines: io.StringIO) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, as_json=False)
    structlog.get_logger("refreshd.dispatch").error(
        "credential_refused", hint="run refreshd doctor", error="401", credential="api_key", code=None
    )
    line = stream.getvalue()
    assert re.match(r"\d\d:\d\d:\d\d \[error    \] credential_refused credential=api_key", line)
    assert line.endswith("error=401 hint='run refreshd doctor'\n")
    assert "code" not in line
    assert "refreshd.dispatch" not in line
