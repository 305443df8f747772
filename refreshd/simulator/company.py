"""The company that uses this Flinks: made-up clients for a population, as the ledger file that a user can import."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from refreshd.simulator.draws import fraction, number
from refreshd.simulator.population import Population

_SHARED_SHARE = 0.06
"""Of the logins, those that two clients share: a couple with one bank user."""
_SECOND_LOGIN_SHARE = 0.25
"""Of the clients, those with more than one login."""


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the company's list."""

    client_id: str
    login_id: str
    active: bool
    """Of the client."""


def company_links(population: Population, *, inactive: int = 0) -> tuple[Link, ...]:
    """Return clients for all logins, so that exactly `inactive` logins have no active client.

    Some logins are shared: by two clients of one mind, or by one who left and one who stays, which keeps the login active.
    """
    login_ids = [login.login_id for login in population.logins]
    if not 0 <= inactive <= len(login_ids):
        raise ValueError(f"Of {len(login_ids)} logins, {inactive} cannot be inactive.")
    drawn = sorted(login_ids, key=lambda login_id: number("leaves", population.seed, login_id))
    gone = frozenset(drawn[:inactive])
    stay = [login_id for login_id in login_ids if login_id not in gone]
    leave = [login_id for login_id in login_ids if login_id in gone]
    return (*_links("client", stay, active=True), *_links("former", leave, active=False))


def inactive_logins(links: Sequence[Link]) -> frozenset[str]:
    """Return the logins without an active client: what the simulator is told for its breach rules."""
    active = {link.login_id for link in links if link.active}
    return frozenset(link.login_id for link in links) - active


def population_csv(population: Population, file: TextIO, *, inactive: int = 0) -> frozenset[str]:
    """Write `client_id,login_id,active` for the whole population and return its inactive logins.

    Open `file` with newline="", as the csv module asks.
    """
    links = company_links(population, inactive=inactive)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["client_id", "login_id", "active"])
    writer.writerows([link.client_id, link.login_id, str(link.active).lower()] for link in links)
    return inactive_logins(links)


def _links(prefix: str, login_ids: Sequence[str], *, active: bool) -> Iterator[Link]:
    client = 0
    for login_id in login_ids:
        if client == 0 or fraction("client", login_id) >= _SECOND_LOGIN_SHARE:
            client += 1
        yield Link(f"{prefix}-{client:06d}", login_id, active)
        if fraction("shared", login_id) < _SHARED_SHARE:
            yield _partner(prefix, client, login_id, active=active)


def _partner(prefix: str, client: int, login_id: str, *, active: bool) -> Link:
    leaves = number("partner", login_id) % 2 == 0
    kind = "former-partner" if leaves else "partner"
    return Link(f"{kind}-of-{prefix}-{client:06d}", login_id, active and not leaves)
