import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core.codes import (
    CHALLENGED,
    CODE_LIMIT,
    KNOWN_CODES,
    MEANINGS,
    code_of_state,
    disposition_of,
    label_of,
    meaning_of,
    normalise,
    reaction_of,
    state_reaction,
)
from refreshd.core.model import Disposition, Reaction

TABLE = Path(__file__).parents[1] / "samples" / "flinks-codes.csv"
CODED = [row for row in csv.DictReader(TABLE.read_text().splitlines()) if row["flinks_code"]]

# Where we decide otherwise than the table of the documents, and why.
DEVIATIONS = {
    # A throttled call must slow all of us down, not send one login back: a reaction of its own.
    "TOO_MANY_REQUESTS": Reaction.THROTTLED,
}


@pytest.mark.parametrize("row", CODED, ids=lambda row: f"{row['http_status']}-{row['flinks_code']}")
def test_every_documented_code_is_decided_as_documented(row: dict[str, str]) -> None:
    code = row["flinks_code"]
    assert reaction_of(code) is DEVIATIONS.get(normalise(code), Reaction(row["reaction"]))


@pytest.mark.parametrize("row", CODED, ids=lambda row: f"{row['http_status']}-{row['flinks_code']}")
def test_every_documented_code_keeps_eligibility_as_documented(row: dict[str, str]) -> None:
    documented = {"yes": True, "no": False, "n/a": None}[row["keeps_nightly_eligibility"]]
    assert meaning_of(row["flinks_code"]).keeps_eligibility is documented


def test_the_table_holds_the_documented_codes_and_our_name_for_a_challenge() -> None:
    assert {normalise(row["flinks_code"]) for row in CODED} | {CHALLENGED} == KNOWN_CODES


def test_the_codes_that_keep_a_card_eligible_are_the_vendors_allow_list() -> None:
    kept = {code for code, meaning in MEANINGS.items() if meaning.keeps_eligibility}
    assert kept - {"OK"} == {
        "RETRY_LATER",
        "AGGREGATION_ERROR",
        "SESSION_EXPIRED",
        "DISABLED_INSTITUTION",
        "UNAUTHORIZED",
        "SESSION_NONEXISTENT",
        "BANK_MAINTENANCE_RETRY_LATER",
    }


def test_every_row_says_what_to_do() -> None:
    assert all(meaning.advice.endswith(".") for meaning in MEANINGS.values())


def test_what_the_end_user_is_told_names_the_place_where_the_user_must_go() -> None:
    for meaning in MEANINGS.values():
        if meaning.reaction is Reaction.NEEDS_USER:
            assert "Flinks Connect" in meaning.advice


@pytest.mark.parametrize(
    "spelling", ["BANK MAINTENANCE_RETRY_LATER", "BANK_MAINTENENACE_RETRY_LATER", " bank_maintenance_retry_later "]
)
def test_the_maintenance_code_has_three_spellings_and_one_meaning(spelling: str) -> None:
    assert normalise(spelling) == "BANK_MAINTENANCE_RETRY_LATER"
    assert reaction_of(spelling) is Reaction.INSTITUTION_DOWN


@pytest.mark.parametrize("spelling", ["question_not_found", "QUESTION_NOT_FOUND ", "Question Not Found"])
def test_case_and_blanks_make_no_difference(spelling: str) -> None:
    assert reaction_of(spelling) is Reaction.NEEDS_USER


def test_a_code_that_no_document_knows_is_a_class_of_its_own() -> None:
    meaning = meaning_of("moon phase")
    assert meaning.code == "MOON_PHASE"
    assert meaning.reaction is Reaction.UNKNOWN
    assert meaning.keeps_eligibility is None
    assert disposition_of(meaning.reaction) is Disposition.UNKNOWN


@pytest.mark.parametrize("code", [None, "", "  "])
def test_no_code_is_no_failure(code: str | None) -> None:
    assert reaction_of(code) is Reaction.OK


@pytest.mark.parametrize(
    ("state", "reaction"),
    [
        ("AnsweringSecurityChallenge", Reaction.NEEDS_USER),
        ("answering security challenge", Reaction.NEEDS_USER),
        ("ANSWERING_SECURITY_CHALLENGE", Reaction.NEEDS_USER),
        ("Completed", Reaction.OK),
        ("Partially Completed", Reaction.PENDING),
        ("Not Completed", Reaction.RETRY_LATER),
        ("SessionExpired", Reaction.RETRY_LATER),
        ("Invalid Password", Reaction.NEEDS_USER),
        ("InvalidUsername", Reaction.NEEDS_USER),
        ("Invalid Login", Reaction.NEEDS_USER),
        ("Waltzing", Reaction.UNKNOWN),
        ("", Reaction.UNKNOWN),
        (None, Reaction.UNKNOWN),
    ],
)
def test_states_are_compared_without_case_and_blanks(state: str | None, reaction: Reaction) -> None:
    assert state_reaction(state) is reaction


@pytest.mark.parametrize(
    ("reaction", "disposition"),
    [
        (Reaction.OK, Disposition.VENDOR_RETRIES),
        (Reaction.PENDING, Disposition.VENDOR_RETRIES),
        (Reaction.RETRY_LATER, Disposition.VENDOR_RETRIES),
        (Reaction.THROTTLED, Disposition.VENDOR_RETRIES),
        (Reaction.INSTITUTION_DOWN, Disposition.VENDOR_RETRIES),
        (Reaction.NEEDS_USER, Disposition.NEEDS_CLIENT),
        (Reaction.PERMANENT, Disposition.OPERATOR),
        (Reaction.AUTH_CONFIG, Disposition.OPERATOR),
        (Reaction.UNKNOWN, Disposition.UNKNOWN),
    ],
)
def test_each_reaction_says_who_clears_the_login(reaction: Reaction, disposition: Disposition) -> None:
    assert disposition_of(reaction) is disposition


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (None, "none"),
        (" ", "none"),
        ("invalid_password", "INVALID_PASSWORD"),
        ("BANK_MAINTENENACE_RETRY_LATER", "BANK_MAINTENANCE_RETRY_LATER"),
        ("moon phase", "other"),
    ],
)
def test_a_label_is_a_documented_code_or_other_or_none(code: str | None, label: str) -> None:
    assert label_of(code) == label


def test_there_are_at_most_forty_labels() -> None:
    assert len(KNOWN_CODES | {"none", "other"}) <= 40


@given(st.text())
def test_normalising_twice_changes_nothing_more_and_keeps_it_short(raw: str) -> None:
    once = normalise(raw)
    assert normalise(once) == once
    assert len(once) <= CODE_LIMIT


@given(st.text())
def test_every_text_has_a_reaction_a_state_and_a_bounded_label(raw: str) -> None:
    assert reaction_of(raw) in Reaction
    assert state_reaction(raw) in Reaction
    assert label_of(raw) in KNOWN_CODES | {"none", "other"}


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("InvalidPassword", "INVALID_PASSWORD"),
        ("Answering Security Challenge", CHALLENGED),
        ("Not Completed", "NOT_COMPLETED"),
        (None, "NO_STATE"),
    ],
)
def test_a_state_has_the_code_that_says_the_same(state: str | None, code: str) -> None:
    assert code_of_state(state) == code
