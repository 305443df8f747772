"""The one way out: plain and aligned into a pipe, never wider than a terminal, and nothing in it that a terminal would obey."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from refreshd.cli.screen import SHOWN_AT_ONCE, Column, Screen, clean
from refreshd.core.errors import InputRejected

COLUMNS = [Column(head="login", whole=True), Column(head="n", whole=True, right=True), Column(head="said")]


def test_into_a_pipe_columns_are_aligned_and_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(COLUMNS, [("a", "1", "x" * 300), ("bcd", "20", "")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["  login   n  said", f"  a       1  {'x' * 300}", "  bcd    20"]


def test_a_table_of_many_rows_has_one_head(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(COLUMNS, ((str(number), "1", "") for number in range(SHOWN_AT_ONCE + 5)))
    out = capsys.readouterr().out
    assert len(out.splitlines()) == SHOWN_AT_ONCE + 6
    assert out.count("login") == 1


def test_a_table_without_rows_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(COLUMNS, [])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("members", [[], [1], [{"a": 1}, {"b": 2}]])
def test_arrays_written_as_they_come_are_json(members: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.json_array() as array:
        for member in members:
            array.add(member)
    assert json.loads(capsys.readouterr().out) == members
    with screen.json_array(key="all", beside={"count": len(members)}) as array:
        for member in members:
            array.add(member)
    assert json.loads(capsys.readouterr().out) == {"count": len(members), "all": members}


def test_times_spans_and_ids_have_one_form_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    value: Mapping[str, object] = {"at": moment, "for": timedelta(minutes=1), "id": UUID(int=1)}
    Screen().json(value)
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-01-05T00:00:00+00:00",
        "for": 60.0,
        "id": "00000000-0000-0000-0000-000000000001",
    }
    with pytest.raises(TypeError, match="object has no form in JSON"):
        Screen().json({"x": object()})


def test_words_of_others_cannot_steer_the_terminal() -> None:
    assert clean("Bank\x1b[31m\r\n of \u202eX") == "Bank?[31m?? of ?X"


def test_markup_of_others_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "80"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    screen = Screen()
    screen.line("Harbour [bold]Union[/] :smile:")
    screen.table(COLUMNS, [("[red]", "1", "[link=x]")])
    out = capsys.readouterr().out
    assert "Harbour [bold]Union[/] :smile:" in out
    assert "[red]" in out
    assert "[link=x]" in out


def test_no_color_is_respected_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("NO_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    Screen().line("red", style="red")
    assert "\x1b[31m" not in capsys.readouterr().out


def test_trouble_is_a_sentence_its_faults_and_a_hint_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().trouble(InputRejected("bad list", hint="mend it", faults=("line 2: odd", "line 3: odder")))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["error: bad list", "  line 2: odd", "  line 3: odder", "hint: mend it"]
