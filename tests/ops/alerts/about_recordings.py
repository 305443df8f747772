"""What the recording rules record, on numbers that can be checked in the head."""

from dataclasses import dataclass
from typing import Any

from tests.ops.alerts.story import INSTALLATION, scraped


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What stands recorded at a moment, to one decimal: versions of Prometheus differ in the last sample of a window."""

    record: str
    series: dict[str, str]
    at: str
    value: float
    every: str = "1m"

    @property
    def key(self) -> tuple[str, str]:
        return self.record, ""


_FLEET = {
    'refreshd_active_logins{refresh_age="lt_1d"}': "90x9",
    'refreshd_active_logins{refresh_age="ge_7d"}': "10x9",
    'refreshd_active_logins{refresh_age="lt_1d"}@b': "90x9",
    'refreshd_active_logins{refresh_age="ge_7d"}@b': "0x9",
    'refreshd_stale_logins{verdict="stale"}': "20x9",
    'refreshd_stale_logins{verdict="stale"}@b': "0x9",
    'refreshd_stale_logins{verdict="reconnect"}': "30x9",
    'refreshd_failed_logins{error_code="INVALID_PASSWORD",disposition="needs_client"}': "30x9",
    'refreshd_failed_logins{error_code="INVALID_PASSWORD",disposition="needs_client"}@b': "29x9",
    'refreshd_failed_logins{error_code="other",disposition="unknown"}': "1x9",
}


def _burn(window: str, step: str) -> Figure:
    """48 steps are a window. For two windows little happens and all is well, then for half of one much, and half of it fails."""
    return Figure(
        record=f"job:refreshd_flinks_request_failures_per_requests:ratio_rate{window}",
        series={
            'refreshd_flinks_requests_total{operation="authorize",code="200"}': "0+1x96 196+100x80",
            'refreshd_flinks_requests_total{operation="authorize",code="error"}@b': "0x200",
            'refreshd_flinks_request_failures_total{reason="timeout"}': "0x96 50+50x80",
            'refreshd_flinks_request_failures_total{reason="server"}@b': "0x200",
        },
        at=f"{120 * int(step[:-1])}s",
        value=0.5,
        every=step,
    )


FIGURES = (
    Figure(record="job:refreshd_active_logins:sum", series=_FLEET, at="5m", value=100),
    Figure(record="job:refreshd_failed_logins:sum", series=_FLEET, at="5m", value=31),
    Figure(record="job:refreshd_stale_logins_per_active_logins:ratio", series=_FLEET, at="5m", value=0.5),
    Figure(record="job:refreshd_silent_logins_per_active_logins:ratio", series=_FLEET, at="5m", value=0.2),
    _burn("30m", "38s"),
    _burn("2h", "150s"),
    _burn("6h", "450s"),
    _burn("1d", "1800s"),
    _burn("3d", "5400s"),
)


def figure_file(figure: Figure, rule_file: str) -> dict[str, Any]:
    """The figure as promtool checks it."""
    labels = ",".join(f'{name}="{value}"' for name, value in INSTALLATION.items())
    check = {
        "expr": f"round({figure.record}, 0.1)",
        "eval_time": figure.at,
        "exp_samples": [{"labels": f"{{{labels}}}", "value": figure.value}],
    }
    series = [{"series": scraped(name), "values": values} for name, values in figure.series.items()]
    return {
        "rule_files": [rule_file],
        "evaluation_interval": figure.every,
        "tests": [{"interval": figure.every, "input_series": series, "promql_expr_test": [check]}],
    }
