"""Days in seconds: virtual time, a real Postgres, no sockets to Flinks."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from refreshd import leading


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of calls are no help to who reads a failure."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _rare_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the totals here, and a day has 5,760 of them."""
    monkeypatch.setattr(leading, "TOTALS_SECONDS", 3600.0)
