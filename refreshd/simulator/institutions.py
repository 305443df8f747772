"""The banks: eight fictional ones, each with its own way to fail, and their outages. Values only."""

from dataclasses import dataclass
from datetime import datetime

NULL_CODE = ""
"""A refresh that ends in a security challenge may carry no code at all (state AnsweringSecurityChallenge, code null).

https://docs.flinks.com/api/connect/endpoints/account-linking/get-nightly-refresh-status.md
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """One bank and how its logins fare at night."""

    institution_id: int
    name: str
    failure_chance: float
    """That one login's nightly attempt fails."""
    failures: tuple[tuple[str, float], ...]
    """FlinksCodes of such failures, with weights."""
    needs_user_share: float
    """Of its logins at the start, those whose user must already connect again."""
    asks_mfa_share: float
    """Of its logins, those whose bank asks a question at every live login."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which no login of one institution can be refreshed."""

    since: datetime
    until: datetime
    code: str

    def covers(self, date: datetime) -> bool:
        """Tell whether the institution is down at `date`."""
        return self.since <= date < self.until


_OAUTH = (("RETRY_LATER", 6.0), ("AGGREGATION_ERROR", 3.0), ("UNAUTHORIZED", 1.0))
_CODES_BY_PHONE = (
    ("QUESTION_NOT_FOUND", 5.0),
    (NULL_CODE, 3.0),
    ("INVALID_PASSWORD", 1.0),
    ("RETRY_LATER", 2.0),
)
_OLD_SITE = (
    ("RETRY_LATER", 6.0),
    ("SESSION_EXPIRED", 3.0),
    ("BANK MAINTENANCE_RETRY_LATER", 2.0),
    ("QUESTION_NOT_FOUND", 1.0),
)
_STRICT = (
    ("INVALID_PASSWORD", 3.0),
    ("DISABLED_LOGIN", 1.0),
    ("NEW_ACCOUNT", 1.0),
    ("INVALID_SECURITY_RESPONSE", 1.0),
    ("AGGREGATION_ERROR", 4.0),
)


def _bank(
    number: int, name: str, failure: float, failures: tuple[tuple[str, float], ...], user: float, mfa: float
) -> Institution:
    return Institution(
        institution_id=number,
        name=name,
        failure_chance=failure,
        failures=failures,
        needs_user_share=user,
        asks_mfa_share=mfa,
    )


INSTITUTIONS: tuple[Institution, ...] = (
    _bank(901, "Boreal Bank", 0.002, _OAUTH, 0.01, 0.0),
    _bank(902, "Tamarack Direct", 0.005, _OAUTH, 0.01, 0.0),
    _bank(903, "Prairie Savings", 0.03, _OLD_SITE, 0.05, 0.2),
    _bank(904, "Fundy Mutual", 0.05, _OLD_SITE, 0.06, 0.3),
    _bank(905, "Caisse du Fleuve", 0.06, _STRICT, 0.10, 0.4),
    _bank(906, "Cascadia Credit Union", 0.08, _STRICT, 0.12, 0.5),
    _bank(907, "Ironwood Trust", 0.15, _CODES_BY_PHONE, 0.35, 0.9),
    _bank(908, "Polaris Financial", 0.25, _CODES_BY_PHONE, 0.50, 1.0),
)
"""Few banks refresh well without their user, most of them by OAuth: the vendor's own warning of today.

https://docs.flinks.com/guides/connect/nightly-refresh
"""
