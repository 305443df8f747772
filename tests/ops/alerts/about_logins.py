"""Stories about the logins as a whole."""

from tests.ops.alerts.story import Proof, Story

_STALE = 'refreshd_stale_logins{verdict="stale"}'
_ACTIVE = 'refreshd_active_logins{refresh_age="lt_1d"}'
_OLD = 'refreshd_active_logins{refresh_age="ge_7d"}'


def _silent(values: str, *, of: int) -> dict[str, str]:
    """So many of the active logins are silently stale; a takeover shows the same ledger once more, as it was."""
    return {
        _STALE: values,
        f"{_STALE}@b": "0x300",
        _ACTIVE: f"{of - 10}x300",
        f"{_ACTIVE}@b": f"{of - 10}x300",
        _OLD: "10x300",
        f"{_OLD}@b": "0x300",
        'refreshd_stale_logins{verdict="reconnect"}': "0x300",
    }


def _stale_says(share: str, *, high: bool) -> str:
    cause = ": the fault is between Flinks and us, not with their users." if high else "."
    return f"{share} of the active logins are stale and no error explains it{cause}"


def _lapsing(count: int, *, of: int, within: str = "1d") -> dict[str, str]:
    return {
        f'refreshd_lapsing_logins{{within="{within}"}}': f"{count}x30",
        f'refreshd_lapsing_logins{{within="{within}"}}@b': "0x30",
        _ACTIVE: f"{of}x30",
        f"{_ACTIVE}@b": "0x30",
    }


def _failed(values: str) -> dict[str, str]:
    """By ten-minute steps: 72 of them are half a day."""
    return {
        'refreshd_failed_logins{error_code="INVALID_PASSWORD",disposition="needs_client"}': values,
        'refreshd_failed_logins{error_code="INVALID_PASSWORD",disposition="needs_client"}@b': "0x300",
        'refreshd_failed_logins{error_code="other",disposition="unknown"}': "0x300",
    }


def _active(values: str) -> dict[str, str]:
    return {_ACTIVE: values, f"{_ACTIVE}@b": "0x1800"}


def _shrank_says(left: str) -> str:
    return f"{left} active logins are left, less than half of the most in a day. A broken import looks like this."


_JUMP = "{} more logins fail than at this time yesterday."

PROOFS = (
    Proof(
        alert="RefreshdStaleLoginsHigh",
        severity="critical",
        summary="Many logins have silently stopped refreshing.",
        first="refreshd logins --verdict stale",
        panel="refreshd-overview?viewPanel=10",
        stories=(
            Story(
                title="23 of 100 are silently stale, for half an hour",
                series=_silent("23x30 0x60", of=100),
                quiet=("13m", "48m"),
                fires=("17m", "44m"),
                says=_stale_says("23%", high=True),
            ),
            Story(title="17 of 100 are", series=_silent("17x90", of=100), quiet=("90m",)),
            Story(title="5 of 15 are", series=_silent("5x90", of=15), quiet=("90m",)),
            Story(
                title="6 of 20 are",
                series=_silent("6x90", of=20),
                fires=("17m",),
                says=_stale_says("30%", high=True),
            ),
            Story(
                title="90 of 100 fail and say why",
                series=_silent("2x90", of=100) | {'refreshd_stale_logins{verdict="reconnect"}': "90x90"},
                quiet=("90m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdStaleLogins",
        severity="warning",
        summary="Some logins have silently stopped refreshing.",
        first="refreshd logins --verdict stale",
        panel="refreshd-overview?viewPanel=10",
        stories=(
            Story(
                title="6 of 100 are silently stale, for 50 minutes",
                series=_silent("6x50 0x60", of=100),
                quiet=("25m", "68m"),
                fires=("35m", "64m"),
                says=_stale_says("6%", high=False),
            ),
            Story(title="8 of 200 are", series=_silent("8x90", of=200), quiet=("90m",)),
            Story(title="5 of 50 are", series=_silent("5x90", of=50), quiet=("90m",)),
            Story(
                title="90 of 100 fail and say why",
                series=_silent("2x90", of=100) | {'refreshd_stale_logins{verdict="reconnect"}': "90x90"},
                quiet=("90m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdLoginsLapsing",
        severity="warning",
        summary="Logins lapse within a day.",
        first="refreshd status",
        panel="refreshd-overview?viewPanel=5",
        stories=(
            Story(
                title="6 of 500 lapse within a day",
                series=_lapsing(6, of=500),
                quiet=("50m",),
                fires=("70m",),
                says="Flinks gives 6 logins up within a day; this is the last one to save them.",
                every="10m",
            ),
            Story(title="5 of 400 do", series=_lapsing(5, of=400), quiet=("4h",), every="10m"),
            Story(title="6 of 700 do", series=_lapsing(6, of=700), quiet=("4h",), every="10m"),
            Story(
                title="50 do within two days",
                series=_lapsing(0, of=500) | _lapsing(50, of=500, within="2d"),
                quiet=("4h",),
                every="10m",
            ),
        ),
    ),
    Proof(
        alert="RefreshdFailedLoginsJump",
        severity="warning",
        summary="Far more logins fail than yesterday.",
        first="refreshd status",
        panel="refreshd-overview?viewPanel=14",
        stories=(
            Story(
                title="31 fail where 20 did yesterday",
                series=_failed("20x144 31x20"),
                quiet=("25h",),
                fires=("25h20m",),
                says=_JUMP.format(11),
                every="10m",
            ),
            Story(title="19 where 10 did", series=_failed("10x144 19x40"), quiet=("30h",), every="10m"),
            Story(title="112 where 100 did", series=_failed("100x144 112x40"), quiet=("30h",), every="10m"),
            Story(
                title="every night the same step",
                series=_failed("20x71 40x71 20x71 40x71"),
                quiet=("44h",),
                every="10m",
            ),
            Story(
                title="few fail at any hour, and fewest in between",
                series=_failed("10x143 2x71 18x71"),
                quiet=("44h",),
                every="10m",
            ),
            Story(
                title="many fail at night, and few in between",
                series=_failed("100x143 20x71 120x71"),
                quiet=("44h",),
                every="10m",
            ),
        ),
    ),
    Proof(
        alert="RefreshdLedgerShrank",
        severity="critical",
        summary="The client list has lost half of its active logins.",
        first="refreshd plans",
        panel="refreshd-overview?viewPanel=9",
        stories=(
            Story(
                title="48 of 100 are left",
                series=_active("100x9 48x30"),
                quiet=("14m",),
                fires=("16m",),
                says=_shrank_says("48"),
            ),
            Story(title="60 of 100 are left", series=_active("100x9 60x90"), quiet=("90m",)),
            Story(
                title="10 of 21 are left",
                series=_active("21x9 10x30"),
                fires=("16m",),
                says=_shrank_says("10"),
            ),
            Story(title="9 of 19 are left", series=_active("19x9 9x90"), quiet=("90m",)),
            Story(
                title="it is said for a day",
                series=_active("100 48x200"),
                quiet=("27h",),
                fires=("20h",),
                says=_shrank_says("48"),
                every="30m",
            ),
        ),
    ),
    Proof(
        alert="RefreshdUnknownErrorCode",
        severity="info",
        summary="Flinks answers with an error code that no document describes.",
        first="refreshd logins --verdict failed",
        panel="refreshd-overview?viewPanel=13",
        stories=(
            Story(
                title="three logins have it",
                series=_failed("50x30")
                | {
                    'refreshd_failed_logins{error_code="other",disposition="unknown"}': "2x30",
                    'refreshd_failed_logins{error_code="other",disposition="unknown"}@b': "1x30",
                    'refreshd_failed_logins{error_code="none",disposition="unknown"}': "1x30",
                },
                quiet=("50m",),
                fires=("70m",),
                says="3 logins fail with a code that refreshd does not know; it retries them daily and asks nobody.",
                every="10m",
            ),
            Story(title="known codes only", series=_failed("50x30"), quiet=("4h",), every="10m"),
        ),
    ),
    Proof(
        alert="RefreshdDriftedLogins",
        severity="info",
        summary="Logins of active clients are switched off at Flinks.",
        first="refreshd logins --verdict drifted",
        panel="refreshd-overview?viewPanel=9",
        stories=(
            Story(
                title="two logins are off",
                series={
                    'refreshd_logins{verdict="drifted"}': "2x50",
                    'refreshd_logins{verdict="drifted"}@b': "0x50",
                },
                quiet=("20h",),
                fires=("30h",),
                says="2 logins should refresh every night, are off at Flinks, and refreshd did not switch them off.",
                every="1h",
            ),
            Story(
                title="none is",
                series={'refreshd_logins{verdict="drifted"}': "0x90", 'refreshd_logins{verdict="fresh"}': "99x90"},
                quiet=("80h",),
                every="1h",
            ),
        ),
    ),
    Proof(
        alert="RefreshdUnknownLogins",
        severity="info",
        summary="Flinks reports logins that the ledger does not know.",
        first="refreshd status",
        panel="refreshd-reconcile?viewPanel=14",
        stories=(
            Story(
                title="one login is nobody's",
                series={
                    'refreshd_ineligible_logins{ledger="absent"}': "1x50",
                    'refreshd_ineligible_logins{ledger="absent"}@b': "0x50",
                },
                quiet=("20h",),
                fires=("30h",),
                says="1 logins are scheduled at Flinks, and so billed, and are in nobody's client list.",
                every="1h",
            ),
            Story(
                title="all are known",
                series={
                    'refreshd_ineligible_logins{ledger="absent"}': "0x90",
                    'refreshd_ineligible_logins{ledger="active"}': "55x90",
                },
                quiet=("80h",),
                every="1h",
            ),
        ),
    ),
)
