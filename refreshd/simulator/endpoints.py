"""The table of endpoints, and the order in which a call is looked at: route, customer, rate, credential, content."""

from collections.abc import Callable, Mapping

from refreshd.simulator.access import Throttle, check_credential, check_customer
from refreshd.simulator.accounts import accounts, accounts_async
from refreshd.simulator.authorize import authorize, generate_token
from refreshd.simulator.calls import METHOD, Call, Operation
from refreshd.simulator.messages import Moment, Response, refusal
from refreshd.simulator.report import nightly_refresh_status
from refreshd.simulator.schedule import set_scheduled_refresh
from refreshd.simulator.state import World

Handler = Callable[[World, Call, Moment], Response]

HANDLERS: Mapping[Operation, Handler] = {
    Operation.GENERATE_TOKEN: generate_token,
    Operation.AUTHORIZE: authorize,
    Operation.ACCOUNTS_DETAIL: accounts,
    Operation.ACCOUNTS_DETAIL_ASYNC: accounts_async,
    Operation.ACCOUNTS_SUMMARY: accounts,
    Operation.ACCOUNTS_SUMMARY_ASYNC: accounts_async,
    Operation.SET_SCHEDULED_REFRESH: set_scheduled_refresh,
    Operation.NIGHTLY_REFRESH_STATUS: nightly_refresh_status,
}


class Endpoints:
    """All of Flinks' endpoints over one world."""

    def __init__(self, world: World) -> None:
        """Answer out of `world`."""
        self._world = world
        self._throttle = Throttle()

    def answer(self, call: Call, now: Moment) -> Response:
        """Return what Flinks says when nothing goes wrong on the way."""
        handler = HANDLERS.get(call.operation)
        if handler is None:
            return refusal(404, "", "No HTTP resource was found that matches the request.")
        if METHOD[call.operation] != call.method:
            return refusal(405, "", f"The requested resource does not support the method {call.method}.")
        refused = (
            check_customer(self._world, call)
            or self._throttle.check(self._world, now)
            or check_credential(self._world, call, now)
        )
        return refused or handler(self._world, call, now)
