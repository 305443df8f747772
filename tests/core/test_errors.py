import pytest

from refreshd.core import errors
from refreshd.core.errors import (
    MESSAGE_LIMIT,
    CredentialRefused,
    DependencyDown,
    FlinksError,
    FlinksRefused,
    FlinksThrottled,
    FlinksUnreachable,
    FlinksUnreadable,
    HeldByGuard,
    InputRejected,
    LeaseLost,
    LedgerUnavailable,
    PlanUnknown,
    RefreshdError,
    RowsLocked,
    SchemaMismatch,
    SettingsError,
    Unstorable,
)

EXIT_CODES = {
    RefreshdError: 1,
    SettingsError: 2,
    InputRejected: 2,
    PlanUnknown: 2,
    HeldByGuard: 3,
    DependencyDown: 4,
    LedgerUnavailable: 4,
    RowsLocked: 4,
    SchemaMismatch: 4,
    LeaseLost: 4,
    Unstorable: 1,
}


@pytest.mark.parametrize(("error", "code"), EXIT_CODES.items(), ids=lambda each: getattr(each, "__name__", None))
def test_an_error_ends_a_command_with_its_exit_code(error: type[RefreshdError], code: int) -> None:
    assert error("what happened").exit_code == code


def test_every_error_that_refreshd_expects_descends_from_one_root() -> None:
    own = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert all(issubclass(each, RefreshdError) for each in own)


def test_a_row_that_somebody_holds_is_no_lost_database() -> None:
    assert not issubclass(RowsLocked, LedgerUnavailable)


def test_an_error_says_what_happened_and_what_to_do_next() -> None:
    error = RefreshdError("the database does not answer", hint="start it")
    assert (str(error), error.message, error.hint) == ("the database does not answer",) * 2 + ("start it",)


def test_a_rejected_list_names_its_bad_rows() -> None:
    assert InputRejected("2 bad rows", faults=("line 3: no GUID", "line 9: no GUID")).faults == (
        "line 3: no GUID",
        "line 9: no GUID",
    )


def test_the_vendors_text_is_cut() -> None:
    assert FlinksError("x" * 10_000).message == "x" * MESSAGE_LIMIT


REASONS = {
    "server": FlinksError("x"),
    "timeout": FlinksUnreachable("x", reason="timeout"),
    "throttled": FlinksThrottled("x"),
    "auth": CredentialRefused("x"),
    "malformed": FlinksUnreadable("x"),
    "client": FlinksRefused("x"),
}


@pytest.mark.parametrize(("reason", "error"), REASONS.items(), ids=REASONS.keys())
def test_an_error_of_a_call_carries_the_label_of_its_failure(reason: str, error: FlinksError) -> None:
    assert error.reason == reason
