"""Any sequence of the application's statements leaves `login.active` as a small model says, and every login ever linked is there."""

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.ledger import login_id
from tests.support.postgres import SCHEMA, LoopThread

CLIENTS = st.sampled_from(["ann", "bob", "cat", "dan"])
LOGINS = st.sampled_from([login_id(number) for number in range(1, 5)])


class Application(RuleBasedStateMachine):
    """The application's two tables, and what must follow from them."""

    url = ""
    loop: LoopThread

    @initialize()
    def connect(self) -> None:
        self.session = self.loop.run(asyncpg.connect(self.url, server_settings={"search_path": SCHEMA}))
        self.transaction = self.session.transaction()
        self.loop.run(self.transaction.start())  # rolled back at the end, so that each run begins with an empty ledger
        self.clients: dict[str, bool] = {}
        self.links: dict[tuple[str, object], bool] = {}
        self.ever: set[object] = set()

    def write(self, statement: str, *values: object) -> None:
        self.loop.run(self.session.execute(statement, *values))

    @rule(client=CLIENTS, active=st.booleans())
    def set_client(self, client: str, active: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        self.write(
            "INSERT INTO client VALUES ($1, $2) ON CONFLICT (client_id) DO UPDATE SET active = excluded.active",
            client,
            active,
        )
        self.clients[client] = active

    @rule(active=st.booleans())
    def set_all(self, active: bool) -> None:  # noqa: FBT001 - as above
        self.write("UPDATE client SET active = $1", active)
        self.clients = dict.fromkeys(self.clients, active)

    @rule(client=CLIENTS, login=LOGINS, scheduled=st.booleans())
    def link(self, client: str, login: object, scheduled: bool) -> None:  # noqa: FBT001 - as above
        self.write("INSERT INTO client VALUES ($1) ON CONFLICT DO NOTHING", client)
        self.write(
            "INSERT INTO client_login VALUES ($1, $2, $3)"
            " ON CONFLICT (client_id, login_id) DO UPDATE SET scheduled = excluded.scheduled", client, login, scheduled,
        )  # fmt: skip
        self.clients.setdefault(client, True)
        self.links[client, login] = scheduled
        self.ever.add(login)

    @rule(client=CLIENTS, login=LOGINS)
    def unlink(self, client: str, login: object) -> None:
        self.write("DELETE FROM client_login WHERE client_id = $1 AND login_id = $2", client, login)
        self.links.pop((client, login), None)

    @rule(login=LOGINS)
    def unlink_everybody(self, login: object) -> None:
        self.write("DELETE FROM client_login WHERE login_id = $1", login)
        self.links = {link: scheduled for link, scheduled in self.links.items() if link[1] != login}

    @rule(client=CLIENTS)
    def delete_client(self, client: str) -> None:
        self.write("DELETE FROM client WHERE client_id = $1", client)
        self.clients.pop(client, None)
        self.links = {link: scheduled for link, scheduled in self.links.items() if link[0] != client}

    @rule(client=CLIENTS, name=CLIENTS)
    def rename_client(self, client: str, name: str) -> None:
        if client in self.clients and name not in self.clients:
            self.write("UPDATE client SET client_id = $2 WHERE client_id = $1", client, name)
            self.clients[name] = self.clients.pop(client)
            self.links = {(name if link[0] == client else link[0], link[1]): on for link, on in self.links.items()}

    @rule(old=LOGINS, new=LOGINS)
    def relink(self, old: object, new: object) -> None:
        movable = {client for client, login in self.links if login == old and (client, new) not in self.links}
        self.write(
            "UPDATE client_login SET login_id = $2 WHERE login_id = $1 AND client_id = ANY($3)", old, new, list(movable)
        )
        self.links.update({(client, new): self.links.pop((client, old)) for client in movable})
        self.ever |= {new} if movable else set()

    @rule()
    def truncate_links(self) -> None:
        self.write("TRUNCATE client_login")
        self.links = {}

    @rule()
    def truncate_clients(self) -> None:
        self.write("TRUNCATE client CASCADE")
        self.clients, self.links = {}, {}

    @invariant()
    def activity_follows_and_nothing_is_lost(self) -> None:
        if not hasattr(self, "session"):
            return
        rows = self.loop.run(self.session.fetch("SELECT login_id, active, inactive_since FROM login"))
        wanted = {login for (client, login), scheduled in self.links.items() if scheduled and self.clients[client]}
        assert {row["login_id"]: row["active"] for row in rows} == {login: login in wanted for login in self.ever}
        assert all(row["active"] == (row["inactive_since"] is None) for row in rows)

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.loop.run(self.transaction.rollback())
            self.loop.run(self.session.close())


def test_activity_follows_whatever_is_written(database_url: str) -> None:
    loop = LoopThread()
    machine = type("ApplicationOnThisDatabase", (Application,), {"url": database_url, "loop": loop})
    few = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    try:
        run_state_machine_as_test(machine, settings=few)
    finally:
        loop.close()
