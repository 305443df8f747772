"""Real sockets, a real Postgres, and waits between tries that a test can afford."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from refreshd.core import turn


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of calls are no help to who reads a failure; processes of their own still log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.reset_defaults()


@pytest.fixture
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """For refreshd in the test's own process: tries in a row and polls follow each other at once. tests/sim keeps the real spans."""
    monkeypatch.setattr(turn, "_TRY_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(turn, "POLL_SECONDS", 0.1)
