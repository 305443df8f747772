"""The world: everything that one simulated Flinks remembers. It is owned by one `Simulator` and changed by nobody else."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from refreshd.simulator.audit import Audit
from refreshd.simulator.config import SimulatorConfig
from refreshd.simulator.draws import guid
from refreshd.simulator.institutions import Institution, Outage
from refreshd.simulator.login import Login
from refreshd.simulator.sessions import Sessions, Tokens


class UnknownNameError(LookupError):
    """A test or an operator named a login or an institution that this Flinks does not have."""


class World:
    """Logins, institutions, tokens, sessions and the audit, as of `date`."""

    def __init__(self, config: SimulatorConfig, *, start: datetime, institutions: Iterable[Institution]) -> None:
        """Begin empty at `start`, an aware date."""
        if start.tzinfo is None:
            raise ValueError("The start of a simulated Flinks must be an aware date.")
        self.config = config
        self.date = start
        self.logins: dict[str, Login] = {}
        self.institutions: dict[str, Institution] = {one.name: one for one in institutions}
        self.outages: dict[str, Outage] = {}
        self.tokens = Tokens(seed=config.seed, life_seconds=config.token_life_seconds)
        self.sessions = Sessions(seed=config.seed)
        self.audit = Audit(calls_kept=config.calls_kept, grace_seconds=config.inactive_grace_seconds)
        self.turns: list[Login] | None = None
        """The logins in the order of their turns in the night; None until the job needs them again."""

    def add(self, login: Login) -> None:
        """Link a login; a copy of the value is kept."""
        self.logins[login.login_id] = replace(login)
        self.institutions.setdefault(login.institution.name, login.institution)
        self.turns = None

    def forget(self, login_id: str) -> None:
        """Remove a login for good, as DeleteCard does."""
        del self.logins[self.login(login_id).login_id]
        self.turns = None

    def find(self, login_id: str) -> Login | None:
        """Return a login that a request names, or None."""
        return self.logins.get(login_id.lower())

    def login(self, login_id: str) -> Login:
        """Return a login that must exist."""
        found = self.find(login_id)
        if found is None:
            raise UnknownNameError(f"There is no login {login_id} in this simulated Flinks.")
        return found

    def institution(self, name: str) -> Institution:
        """Return an institution that must exist."""
        if name not in self.institutions:
            known = ", ".join(sorted(self.institutions))
            raise UnknownNameError(f"There is no institution {name!r} in this simulated Flinks; it has {known}.")
        return self.institutions[name]

    def outage(self, institution: Institution, date: datetime) -> Outage | None:
        """Return the outage that keeps `institution` down at `date`, or None."""
        outage = self.outages.get(institution.name)
        return outage if outage and outage.covers(date) else None

    def stranger(self, login_id: str) -> str:
        """Return a LoginId that is surely another one, for answers about the wrong login."""
        return guid("stranger", self.config.seed, login_id)
