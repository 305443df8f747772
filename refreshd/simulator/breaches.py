"""Which rules a call breaks, judged as it arrives: what becomes of it later does not excuse it."""

from collections.abc import Iterator

from refreshd.simulator.access import takes_token, token_of
from refreshd.simulator.audit import Breach, Rule
from refreshd.simulator.calls import Call, Operation
from refreshd.simulator.messages import Moment
from refreshd.simulator.nightly import in_window
from refreshd.simulator.state import World


def judge(world: World, call: Call, now: Moment) -> Iterator[Breach]:
    """Yield what `call` does wrong; a token that it carries is remembered, so each call is judged once."""
    for rule in _rules(world, call, now):
        yield Breach(rule, call.operation, call.login_id, now.date, now.seconds)


def _rules(world: World, call: Call, now: Moment) -> Iterator[Rule]:
    if takes_token(world, call) and world.audit.presented(token_of(call)):
        yield Rule.TOKEN_REUSED
    if call.operation is Operation.AUTHORIZE:
        yield from _authorize_rules(world, call, now)
    elif call.operation is Operation.SET_SCHEDULED_REFRESH and _disables_active(world, call):
        yield Rule.DISABLE_OF_ACTIVE


def _authorize_rules(world: World, call: Call, now: Moment) -> Iterator[Rule]:
    if world.audit.is_inactive(call.login_id, seconds=now.seconds):
        yield Rule.AUTHORIZE_ON_INACTIVE
    if in_window(now.date):
        yield Rule.AUTHORIZE_IN_WINDOW
    if call.wants_cached is None:
        yield Rule.CACHED_FLAG_MISSING
    if not call.wants_cached:
        yield Rule.LIVE_AUTHORIZE


def _disables_active(world: World, call: Call) -> bool:
    return not call.wants_activation and world.find(call.login_id) is not None and world.audit.is_active(call.login_id)
