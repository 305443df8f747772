"""What each fault does to a call.

Faults of a gateway in front of Flinks (`html_502`, `redirect`, `deny`, `throttle`, `code`) keep the call from its effect. Faults
on the way back (`slow`, `drip`, `truncated`, `garbage`, `empty_body`, `huge_body`, `gzip_bomb`, `nested`, `wrong_content_type`) leave the
effect in place. `hang` and
`reset` toss a coin, because that is what a caller cannot know. Flinks' own slips (`wrong_login` and `contrary` on SetScheduledRefresh,
`error_text_at_200`) say something and do nothing.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from refreshd.simulator import codes
from refreshd.simulator.access import denied, throttled
from refreshd.simulator.calls import Call, Operation
from refreshd.simulator.faults import FaultKind, FaultRule
from refreshd.simulator.messages import (
    HTML_TYPE,
    JSON_TYPE,
    Delivery,
    DeliveryKind,
    Moment,
    Response,
    json_response,
    refusal,
)
from refreshd.simulator.schedule import bare_string, sentence
from refreshd.simulator.state import World

_GARBAGE = b"\x00\x9d{{<<]]\xff not JSON, and no UTF-8 either"
_NESTED = b"[" * 100_000
_HTML_502 = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One call that is going wrong. `answer` does what the call asks for and returns the right answer."""

    rule: FaultRule
    call: Call
    now: Moment
    world: World
    coin: bool
    answer: Callable[[Call], Response]


def misbehave(scene: Scene) -> Response:
    """Return what comes back instead of the right answer."""
    return _EFFECTS[scene.rule.kind](scene)


def _undelivered(kind: DeliveryKind, scene: Scene) -> Response:
    if scene.coin:
        scene.answer(scene.call)
    return Response(status=0, delivery=Delivery(kind))


def _slow(scene: Scene) -> Response:
    return replace(scene.answer(scene.call), delivery=Delivery(delay_seconds=scene.rule.seconds))


def _drip(scene: Scene) -> Response:
    return replace(scene.answer(scene.call), delivery=Delivery(DeliveryKind.DRIP))


def _truncated(scene: Scene) -> Response:
    return replace(scene.answer(scene.call), delivery=Delivery(DeliveryKind.TRUNCATED))


def _body(body: bytes, scene: Scene) -> Response:
    return replace(scene.answer(scene.call), body=body, flinks_code="")


def _huge(scene: Scene) -> Response:
    size = scene.world.config.huge_body_bytes
    return replace(scene.answer(scene.call), body=b'{"Padding":"' + b"x" * size + b'"}', flinks_code="")


def _gzip_bomb(scene: Scene) -> Response:
    """A thousandth of it travels; what it unpacks to is as large as a huge body."""
    size = scene.world.config.huge_body_bytes
    right = scene.answer(scene.call)
    return replace(
        right, body=gzip.compress(b" " * size), headers={**right.headers, "Content-Encoding": "gzip"}, flinks_code=""
    )


def _wrong_content_type(scene: Scene) -> Response:
    return replace(scene.answer(scene.call), headers={"Content-Type": HTML_TYPE})


def _html_502(_scene: Scene) -> Response:
    return Response(502, _HTML_502, {"Content-Type": HTML_TYPE})


def _redirect(_scene: Scene) -> Response:
    return Response(307, b"", {"Location": "https://elsewhere.invalid/"})


def _deny(_scene: Scene) -> Response:
    return denied()


def _throttle(scene: Scene) -> Response:
    return throttled(scene.world, scene.now, scene.world.config.retry_after_seconds)


def _code(scene: Scene) -> Response:
    code = scene.rule.code
    return refusal(scene.rule.status or codes.status_of(code), code, codes.message_of(code))


def _error_text(scene: Scene) -> Response:
    return Response(200, json.dumps(f"Invalid LoginId {scene.call.login_id}").encode(), {"Content-Type": JSON_TYPE})


def _wrong_login(scene: Scene) -> Response:
    stranger = scene.world.stranger(scene.call.login_id)
    if scene.call.operation is Operation.SET_SCHEDULED_REFRESH:
        config = scene.world.config
        return bare_string(config, sentence(config, stranger, activated=scene.call.wants_activation))
    right = scene.answer(scene.call)
    return replace(right, body=right.body.replace(scene.call.login_id.encode(), stranger.encode()))


def _contrary(scene: Scene) -> Response:
    config = scene.world.config
    return bare_string(config, sentence(config, scene.call.login_id, activated=not scene.call.wants_activation))


def _flag_comes_back(scene: Scene) -> Response:
    right = scene.answer(scene.call)
    login = scene.world.find(scene.call.login_id)
    if login and not login.scheduled and not right.flinks_code:
        login.flag_returns = True
    return right


def _pending(scene: Scene) -> Response:
    return scene.answer(replace(scene.call, force_pending=True))


def _status_list_half(scene: Scene) -> Response:
    """A report like any other, and every second login is missing: nothing in it says so."""
    right = scene.answer(scene.call)
    body = json.loads(right.body)
    if right.status != 200 or not isinstance(body, dict):  # noqa: PLR2004 - refused for a reason of its own
        return right
    return json_response(200, {**body, _LIST: body[_LIST][::2]})


def _status_list(change: Mapping[str, object], drop: frozenset[str], scene: Scene) -> Response:
    right = scene.answer(scene.call)
    body = json.loads(right.body)
    if right.status != 200 or not isinstance(body, dict):  # noqa: PLR2004 - refused for a reason of its own
        return right
    return json_response(200, {key: value for key, value in {**body, **change}.items() if key not in drop})


_LIST = "IneligibleCards"
_MERGED = {
    "Message": "The login 'bb8b8569-3bfc-43c1-ae31-08d6de7f1675' is invalid.",
    "FlinksCode": "INVALID_REQUEST",
}
"""Beside a list at 200, as in the vendor's own published example."""

_EFFECTS: Mapping[FaultKind, Callable[[Scene], Response]] = {
    FaultKind.HANG: partial(_undelivered, DeliveryKind.HANG),
    FaultKind.RESET: partial(_undelivered, DeliveryKind.RESET),
    FaultKind.SLOW: _slow,
    FaultKind.DRIP: _drip,
    FaultKind.TRUNCATED: _truncated,
    FaultKind.GARBAGE: partial(_body, _GARBAGE),
    FaultKind.EMPTY_BODY: partial(_body, b""),
    FaultKind.HUGE_BODY: _huge,
    FaultKind.GZIP_BOMB: _gzip_bomb,
    FaultKind.NESTED: partial(_body, _NESTED),
    FaultKind.WRONG_CONTENT_TYPE: _wrong_content_type,
    FaultKind.HTML_502: _html_502,
    FaultKind.REDIRECT: _redirect,
    FaultKind.DENY: _deny,
    FaultKind.THROTTLE: _throttle,
    FaultKind.CODE: _code,
    FaultKind.ERROR_TEXT_AT_200: _error_text,
    FaultKind.WRONG_LOGIN: _wrong_login,
    FaultKind.CONTRARY: _contrary,
    FaultKind.FLAG_COMES_BACK: _flag_comes_back,
    FaultKind.PENDING_202: _pending,
    FaultKind.STATUS_LIST_EMPTY: partial(_status_list, {_LIST: []}, frozenset[str]()),
    FaultKind.STATUS_LIST_HALF: _status_list_half,
    FaultKind.STATUS_LIST_MISSING: partial(_status_list, {}, frozenset({_LIST})),
    FaultKind.STATUS_LIST_MIXED: partial(_status_list, _MERGED, frozenset[str]()),
    FaultKind.STATUS_LIST_NULL: partial(_status_list, {_LIST: None}, frozenset[str]()),
}
