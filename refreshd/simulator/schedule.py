"""SetScheduledRefresh: switches the flag and says so in a bare string.

https://docs.flinks.com/api/connect/endpoints/account-linking/set-scheduled-refresh
"""

import json

from refreshd.simulator.calls import Call, is_guid
from refreshd.simulator.config import AnswerForm, AnswerPrefix, SimulatorConfig
from refreshd.simulator.messages import JSON_TYPE, TEXT_TYPE, Moment, Response, refusal
from refreshd.simulator.state import World


def set_scheduled_refresh(world: World, call: Call, _now: Moment) -> Response:
    """Set the flag as asked; setting what is set already is answered alike."""
    if call.fields is None or not is_guid(call.login_id):
        return refusal(world.config.refusal_status, "INVALID_REQUEST", "A LoginId is required.")
    login = world.find(call.login_id)
    if login is None:
        message = f"The login '{call.login_id}' is invalid."
        return refusal(world.config.refusal_status, "INVALID_REQUEST", message)
    login.scheduled, login.flag_returns = call.wants_activation, False
    return bare_string(world.config, sentence(world.config, login.login_id, activated=login.scheduled))


def sentence(config: SimulatorConfig, login_id: str, *, activated: bool) -> str:
    """Return the sentence; "LoginId " is documented in front of the one for on only."""
    prefix = config.schedule_prefix
    prefixed = prefix is AnswerPrefix.ALWAYS or (prefix is AnswerPrefix.DOCUMENTED and activated)
    word = "activated" if activated else "deactivated"
    return f"{'LoginId ' if prefixed else ''}{login_id} has now been {word} for automatic refresh"


def bare_string(config: SimulatorConfig, text: str) -> Response:
    """Return `text` as a JSON string or as plain text, whichever this Flinks speaks."""
    if config.schedule_answer is AnswerForm.TEXT:
        return Response(200, text.encode(), {"Content-Type": TEXT_TYPE})
    return Response(200, json.dumps(text).encode(), {"Content-Type": JSON_TYPE})
