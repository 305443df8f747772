import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core.breaker import (
    PROBE_AFTER_SECONDS,
    SUSPECT_AFTER,
    SUSPECT_AFTER_GOOD,
    Breaker,
    accepted,
    knew_login,
    probed,
    refused,
    suspected,
    unknown_login,
)
from refreshd.core.model import Credential
from tests.support.builders import login

START = 1_000.0


def after_unknown(times: int, breaker: Breaker | None = None) -> Breaker:
    breaker = breaker or Breaker()
    for _ in range(times):
        breaker = unknown_login(breaker, START)
    return breaker


def test_it_takes_five_unknown_logins_in_a_row_or_twenty_and_a_rest_is_a_quarter_of_an_hour() -> None:
    assert (SUSPECT_AFTER, SUSPECT_AFTER_GOOD, PROBE_AFTER_SECONDS) == (5, 20, 15 * 60)


def test_a_new_breaker_lets_every_call_pass() -> None:
    breaker = Breaker()
    assert not breaker.open
    assert not breaker.suspects_settings(START)
    assert all(breaker.allows(credential, START) for credential in Credential)


@pytest.mark.parametrize("credential", Credential)
def test_a_refused_credential_stops_its_own_calls_and_no_others(credential: Credential) -> None:
    breaker = refused(Breaker(), credential, START)
    assert breaker.open
    assert {each for each in Credential if not breaker.allows(each, START + 1)} == {credential}


def test_a_refused_credential_is_tried_again_when_its_rest_is_over() -> None:
    breaker = refused(Breaker(), Credential.API_KEY, START)
    assert not breaker.allows(Credential.API_KEY, START + PROBE_AFTER_SECONDS - 0.001)
    assert breaker.allows(Credential.API_KEY, START + PROBE_AFTER_SECONDS)


def test_a_credential_that_is_refused_again_rests_again() -> None:
    breaker = refused(Breaker(), Credential.API_KEY, START)
    again = refused(breaker, Credential.API_KEY, START + PROBE_AFTER_SECONDS)
    assert not again.allows(Credential.API_KEY, START + PROBE_AFTER_SECONDS)


def test_when_a_rest_is_over_one_call_probes_and_the_others_rest_on() -> None:
    breaker = refused(Breaker(), Credential.API_KEY, START)
    at = START + PROBE_AFTER_SECONDS
    probing = probed(breaker, Credential.API_KEY, at)
    assert not probing.allows(Credential.API_KEY, at)
    assert probing.allows(Credential.API_KEY, at + PROBE_AFTER_SECONDS), "a probe that is never answered costs one span"
    assert accepted(probing, Credential.API_KEY) == Breaker()


def test_a_call_with_a_credential_that_was_not_stopped_is_no_probe() -> None:
    assert probed(Breaker(), Credential.API_KEY, START) == Breaker()


def test_a_probe_that_is_refused_needs_no_second_login_to_prove_it() -> None:
    at = START + PROBE_AFTER_SECONDS
    probing = probed(refused(Breaker(), Credential.API_KEY, START), Credential.API_KEY, at)
    again = refused(probing, Credential.API_KEY, at + 1, login_id=login(7))
    assert again.stopped == {Credential.API_KEY: at + 1 + PROBE_AFTER_SECONDS}


def test_a_credential_that_works_again_closes_the_breaker() -> None:
    breaker = accepted(refused(Breaker(), Credential.API_KEY, START), Credential.API_KEY)
    assert breaker == Breaker()


def test_one_credential_that_works_says_nothing_about_another() -> None:
    breaker = refused(refused(Breaker(), Credential.API_KEY, START), Credential.SECRET_KEY, START)
    breaker = accepted(breaker, Credential.SECRET_KEY)
    assert breaker.open
    assert not breaker.allows(Credential.API_KEY, START)


def test_a_credential_that_was_never_stopped_changes_nothing_by_working() -> None:
    breaker = refused(Breaker(), Credential.API_KEY, START)
    assert accepted(breaker, Credential.API_SECRET) is breaker


def test_a_few_unknown_logins_do_not_make_the_settings_suspect() -> None:
    assert not after_unknown(SUSPECT_AFTER - 1).suspects_settings(START)


def test_a_row_of_unknown_logins_at_the_start_makes_the_settings_suspect() -> None:
    breaker = after_unknown(SUSPECT_AFTER)
    assert breaker.open
    assert breaker.suspects_settings(START)


def test_it_takes_more_unknown_logins_once_flinks_knew_one() -> None:
    knew = knew_login(Breaker())
    assert not after_unknown(SUSPECT_AFTER_GOOD - 1, knew).suspects_settings(START)
    assert after_unknown(SUSPECT_AFTER_GOOD, knew).suspects_settings(START)


def test_a_known_login_clears_the_suspicion() -> None:
    breaker = knew_login(after_unknown(SUSPECT_AFTER))
    assert not breaker.open
    assert not breaker.suspects_settings(START)


def test_the_suspicion_rests_for_a_while_and_the_next_unknown_login_renews_it() -> None:
    breaker = after_unknown(SUSPECT_AFTER)
    later = START + PROBE_AFTER_SECONDS
    assert not breaker.suspects_settings(later)
    assert unknown_login(breaker, later).suspects_settings(later)


@given(st.lists(st.booleans(), max_size=60))
def test_the_settings_are_suspect_only_after_an_unbroken_row_of_unknown_logins(known: list[bool]) -> None:
    breaker = Breaker()
    for is_known in known:
        breaker = knew_login(breaker) if is_known else unknown_login(breaker, START)
    row = len(known) if True not in known else known[::-1].index(True)
    assert breaker.suspects_settings(START) == (row >= (SUSPECT_AFTER_GOOD if True in known else SUSPECT_AFTER))


def test_one_login_that_is_refused_does_not_stop_the_others() -> None:
    """Flinks may deny that one login alone; the second one in a row speaks against the credential."""
    once = refused(Breaker(), Credential.API_KEY, START, login_id=login(1))
    assert once.allows(Credential.API_KEY, START)
    again = refused(once, Credential.API_KEY, START, login_id=login(1))
    assert again.allows(Credential.API_KEY, START)
    assert not refused(again, Credential.API_KEY, START, login_id=login(2)).allows(Credential.API_KEY, START)


def test_an_accepted_call_clears_the_doubt() -> None:
    once = refused(Breaker(), Credential.API_KEY, START, login_id=login(1))
    cleared = accepted(once, Credential.API_KEY)
    assert refused(cleared, Credential.API_KEY, START, login_id=login(2)).allows(Credential.API_KEY, START)


def test_a_probe_that_is_refused_again_stops_the_credential_again_whichever_login_it_was() -> None:
    stopped = refused(
        refused(Breaker(), Credential.API_KEY, START, login_id=login(1)), Credential.API_KEY, START, login_id=login(2)
    )
    probed = START + PROBE_AFTER_SECONDS
    assert stopped.allows(Credential.API_KEY, probed)
    assert not refused(stopped, Credential.API_KEY, probed, login_id=login(3)).allows(Credential.API_KEY, probed)


def test_calls_about_logins_need_all_their_credentials_and_settings_that_nobody_suspects() -> None:
    both = (Credential.SECRET_KEY, Credential.AUTHORIZE_TOKEN)
    assert Breaker().allows_about_logins(both, START)
    assert not refused(Breaker(), Credential.SECRET_KEY, START).allows_about_logins(both, START)
    assert not after_unknown(SUSPECT_AFTER).allows_about_logins(both, START)


def test_what_a_predecessor_suspected_rests_on_and_one_unknown_login_renews_it() -> None:
    state = suspected(Breaker(), 100.0)
    assert state.suspects_settings(99.0)
    assert not state.suspects_settings(101.0)
    assert unknown_login(state, 101.0).suspects_settings(101.0 + PROBE_AFTER_SECONDS - 1)
    assert not knew_login(state).open
