"""Which of many like lines are worth writing: the first few of a span, then none, then one that says how many were left out.

A trouble that meets a thousand logins is one trouble. The windows are kept by whoever writes; times are seconds of any clock that does not
go back.
"""

from dataclasses import dataclass

SPAN_SECONDS = 60.0
MOST_IN_A_SPAN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What has become of the like lines since the first of them."""

    began_at: float
    written: int = 0
    left_out: int = 0

    @property
    def is_full(self) -> bool:
        return self.written >= MOST_IN_A_SPAN

    def is_over(self, at: float) -> bool:
        """Whether the next like line begins a window of its own."""
        return at - self.began_at >= SPAN_SECONDS


def add(window: Window | None, at: float) -> tuple[Window, bool]:
    """Count one more line into its window, or into a new one where that is over; and whether to write it."""
    if window is None or window.is_over(at):
        window = Window(began_at=at)
    if window.is_full:
        return Window(began_at=window.began_at, written=window.written, left_out=window.left_out + 1), False
    return Window(began_at=window.began_at, written=window.written + 1, left_out=window.left_out), True
