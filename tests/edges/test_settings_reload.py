"""What a running daemon may take on: everything that does not say which ledger, which Flinks and which address are meant."""

import pytest
from pydantic import SecretStr

from refreshd.core.errors import SettingsError
from refreshd.operators import operator_line
from refreshd.settings import Settings, changed, require_reloadable

_ANOTHER: dict[str, object] = {
    "database_url": "postgresql://elsewhere/db",
    "database_direct_url": "postgresql://elsewhere/direct",
    "database_schema": "elsewhere",
    "flinks_base_url": "https://other-api.private.fin.ag/v3",
    "flinks_customer_id": "43387ca6-0391-4c82-857d-70d95f087ecb",
    "listen": "127.0.0.1:1",
    "log_format": "json",
    "scaled_dates": "2026-01-05T16:00:00+00:00*720@1767628800",
}


@pytest.mark.parametrize("name", _ANOTHER)
def test_what_only_a_restart_can_change_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(SettingsError, match=f"only a restart can change REFRESHD_{name.upper()}"):
        require_reloadable(Settings(), Settings.model_validate({name: _ANOTHER[name]}))


def test_all_that_cannot_be_changed_is_named_at_once_and_no_value_is() -> None:
    with pytest.raises(SettingsError) as refused:
        require_reloadable(Settings(), Settings.model_validate(_ANOTHER))
    said = f"{refused.value.message} {refused.value.hint}"
    assert all(f"REFRESHD_{name.upper()}" in said for name in _ANOTHER)
    assert "elsewhere" not in said


def test_everything_else_may_change() -> None:
    after = Settings.model_validate(
        {"rate_per_minute": 60, "mode": "observe", "fetch": "detail", "flinks_api_key": "new", "concurrency": 9}
    )
    require_reloadable(Settings(flinks_api_key=SecretStr("old")), after)
    assert changed(Settings(), after) == ("flinks_api_key", "rate_per_minute", "concurrency", "mode", "fetch")


def test_operators_may_change_but_whether_there_are_any_may_not() -> None:
    some, others = (Settings(operators=SecretStr(operator_line(name, "correct horse"))) for name in ("alice", "bob"))
    require_reloadable(some, others)
    for before, after in ((Settings(), some), (some, Settings())):
        with pytest.raises(SettingsError, match="only a restart can change REFRESHD_OPERATORS"):
            require_reloadable(before, after)


def test_nothing_has_changed_where_nothing_has() -> None:
    assert changed(Settings(rate_per_minute=60), Settings(rate_per_minute=60)) == ()
