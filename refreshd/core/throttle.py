"""How fast Flinks lets us call: the rate in force, halved when it asks for fewer calls, and climbing back slowly while it answers.

Flinks publishes no hard limit and says that what it publishes may change, so the setting is a ceiling and the truth is found out:
additive increase and multiplicative decrease, as in TCP, because a rate that was refused is news and one that was not is only a hint.
The throttle is a frozen value; each event gives a new one. Times are loop seconds, since all of this is about durations.
"""

from dataclasses import dataclass, replace
from math import inf

CLIMB_SECONDS = 60.0
"""Between two steps up, and between a refusal and the first of them: a minute without a refusal is what a step up rests on."""

_STEPS = 20
_FLOOR_SHARE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Calls in any 60 seconds: `setting` is the operator's ceiling, `rate` what is in force.

    `lowered_at`: when Flinks was last heard asking for fewer. `climbs_at`: from when on an answer is worth a step up.
    """

    setting: int
    rate: int
    lowered_at: float = -inf
    climbs_at: float = -inf

    @property
    def floor(self) -> int:
        """A tenth of the setting, at least one call a minute: whoever stops calling never hears that it is over."""
        return max(1, self.setting // _FLOOR_SHARE)

    @property
    def lowered(self) -> bool:
        """Whether less than the setting is in force."""
        return self.rate < self.setting


def unthrottled(setting: int) -> Throttle:
    """All that the operator allows."""
    return Throttle(setting=setting, rate=setting)


def resumed(setting: int, rate: int | None, at: float) -> Throttle:
    """What a predecessor left (None: it was not throttled), under a setting that may be another one by now."""
    full = unthrottled(setting)
    if rate is None:
        return full
    return replace(full, rate=min(max(rate, full.floor), setting), climbs_at=at + CLIMB_SECONDS)


def refused(throttle: Throttle, sent_at: float, at: float) -> Throttle:
    """Flinks asked for fewer calls in its answer to one that left at `sent_at`.

    Of several calls in flight the first refusal counts: the others left under the rate that it has already lowered.
    """
    if sent_at <= throttle.lowered_at:
        return throttle
    rate = max(throttle.floor, throttle.rate // 2)
    return replace(throttle, rate=rate, lowered_at=at, climbs_at=at + CLIMB_SECONDS)


def answered(throttle: Throttle, at: float) -> Throttle:
    """Flinks took a call: a twentieth of the setting more, at most once a minute."""
    if not throttle.lowered or at < throttle.climbs_at:
        return throttle
    step = max(1, throttle.setting // _STEPS)
    return replace(throttle, rate=min(throttle.setting, throttle.rate + step), climbs_at=at + CLIMB_SECONDS)
