"""GetNightlyRefreshStatus: the logins that are on and not eligible. The healthy and the switched-off are absent alike.

https://docs.flinks.com/api/connect/endpoints/account-linking/get-nightly-refresh-status.md
"""

from refreshd.simulator.calls import Call
from refreshd.simulator.login import Login
from refreshd.simulator.messages import Moment, Response, json_response
from refreshd.simulator.nightly import eligible
from refreshd.simulator.state import World


def nightly_refresh_status(world: World, _call: Call, now: Moment) -> Response:
    """List all of them at once: no page, no filter."""
    webhooks = world.config.webhooks
    listed = [
        _card(login)
        for login in world.logins.values()
        if login.scheduled and not eligible(login, now.date, webhooks=webhooks)
    ]
    return json_response(200, {"HttpStatusCode": 200, "IneligibleCards": listed})


def _card(login: Login) -> dict[str, object]:
    return {
        "LoginId": login.login_id,
        "LastRefreshDate": login.stamp(login.attempt.at),
        "LastRefreshState": login.attempt.state,
        "LastRefreshErrorCode": login.attempt.code or None,
    }
