"""Stories about Flinks."""

from tests.ops.alerts.story import Proof, Story

_LEADS = {"refreshd_leader": "1x400", "refreshd_leader@b": "0x400"}


def _burn(window: str, *, severity: str, stories: tuple[Story, ...]) -> Proof:
    return Proof(
        alert="RefreshdFlinksErrorBudgetBurn",
        window=window,
        severity=severity,
        summary="Too many calls to Flinks fail.",
        first="refreshd status",
        panel="refreshd-vendor?viewPanel=7",
        stories=stories,
    )


def _calls(requests: str, failures: str) -> dict[str, str]:
    return {
        'refreshd_flinks_requests_total{operation="authorize",code="200"}': requests,
        'refreshd_flinks_requests_total{operation="authorize",code="error"}@b': "0x999",
        'refreshd_flinks_request_failures_total{reason="timeout"}': failures,
        'refreshd_flinks_request_failures_total{reason="server"}@b': "0x999",
    }


def _burn_says(share: str, window: str) -> str:
    return f"{share} of the calls of the last {window} led to no answer, and it goes on."


PROOFS = (
    Proof(
        alert="RefreshdFlinksAuthRejected",
        severity="critical",
        summary="Flinks refuses a key, or knows none of our logins.",
        first="refreshd doctor",
        panel="refreshd-vendor?viewPanel=2",
        stories=(
            Story(
                title="the breaker of the leader is open",
                series={"refreshd_flinks_breaker_open": "1x20", "refreshd_flinks_breaker_open@b": "0x20"},
                quiet=("4m",),
                fires=("6m",),
                says="The calls that need it have stopped and are tried every 15 minutes; nothing heals this but a person.",
            ),
            Story(title="no breaker is open", series={"refreshd_flinks_breaker_open": "0x60"}, quiet=("60m",)),
        ),
    ),
    Proof(
        alert="RefreshdFlinksDown",
        severity="warning",
        summary="Flinks does not answer.",
        first="refreshd doctor",
        panel="refreshd-vendor?viewPanel=1",
        stories=(
            Story(
                title="the leader's calls fail; the standby's last one, days ago, was good",
                series={**_LEADS, "refreshd_flinks_up": "0x30 1x60", "refreshd_flinks_up@b": "1x90"},
                quiet=("13m", "44m"),
                fires=("17m", "39m"),
                says="No call of the leader has led to an answer for a while. "
                "Nothing is concluded about any login meanwhile.",
            ),
            Story(
                title="the leader's calls are good; the standby's last one was not",
                series={**_LEADS, "refreshd_flinks_up": "1x90", "refreshd_flinks_up@b": "0x90"},
                quiet=("90m",),
            ),
            Story(
                title="in a takeover the answer of either counts",
                series={
                    "refreshd_leader": "1x90",
                    "refreshd_leader@b": "1x90",
                    "refreshd_flinks_up": "0x90",
                    "refreshd_flinks_up@b": "1x90",
                },
                quiet=("90m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdFlinksThrottled",
        severity="warning",
        summary="Flinks makes refreshd slower than it is set to be.",
        first="refreshd status",
        panel="refreshd-vendor?viewPanel=5",
        stories=(
            Story(
                title="at 0.7 of the setting",
                series={
                    **_LEADS,
                    "refreshd_flinks_rate_per_minute": "21x30",
                    "refreshd_flinks_rate_per_minute@b": "30x30",
                    "refreshd_flinks_limiter_capacity_requests": "30x30",
                    "refreshd_flinks_limiter_capacity_requests@b": "60x30",
                },
                quiet=("50m",),
                fires=("70m",),
                says="For an hour the rate has been at 70% of the setting or below, because Flinks throttles.",
                every="10m",
            ),
            Story(
                title="at 0.8 of the setting; the standby shows what it last saw",
                series={
                    **_LEADS,
                    "refreshd_flinks_rate_per_minute": "24x30",
                    "refreshd_flinks_rate_per_minute@b": "3x30",
                    "refreshd_flinks_limiter_capacity_requests": "30x30",
                    "refreshd_flinks_limiter_capacity_requests@b": "30x30",
                },
                quiet=("3h",),
                every="10m",
            ),
            Story(
                title="in a takeover the faster copy counts",
                series={
                    **_LEADS,
                    "refreshd_leader@b": "1x400",
                    "refreshd_flinks_rate_per_minute": "30x30",
                    "refreshd_flinks_rate_per_minute@b": "15x30",
                    "refreshd_flinks_limiter_capacity_requests": "30x30",
                    "refreshd_flinks_limiter_capacity_requests@b": "15x30",
                },
                quiet=("3h",),
                every="10m",
            ),
            Story(
                title="and the larger setting",
                series={
                    **_LEADS,
                    "refreshd_leader@b": "1x400",
                    "refreshd_flinks_rate_per_minute": "21x30",
                    "refreshd_flinks_rate_per_minute@b": "15x30",
                    "refreshd_flinks_limiter_capacity_requests": "30x30",
                    "refreshd_flinks_limiter_capacity_requests@b": "15x30",
                },
                fires=("2h",),
                says="For an hour the rate has been at 70% of the setting or below, because Flinks throttles.",
                every="10m",
            ),
        ),
    ),
    _burn(
        "6h",
        severity="warning",
        stories=(
            Story(
                title="7 % of the calls fail, now and for six hours",
                series=_calls("0+100x90", "0+7x90"),
                quiet=("15m",),
                fires=("25m", "6h"),
                says=_burn_says("7%", "6h"),
                every="5m",
            ),
            Story(title="5 % fail", series=_calls("0+100x90", "0+5x90"), quiet=("6h",), every="5m"),
            Story(
                title="it was bad for hours and is over",
                series=_calls("0+100x150", "0+10x72 720x70"),
                quiet=("6h40m",),
                every="5m",
            ),
            Story(
                title="it has only just begun",
                series=_calls("0+100x150", "0x100 0+10x6"),
                quiet=("8h45m",),
                every="5m",
            ),
            Story(
                title="9 % fail now, and 5 % over six hours",
                series=_calls("0+100x150", "0+5x72 369+9x40"),
                quiet=("6h45m",),
                every="5m",
            ),
            Story(
                title="5 % fail now, and 9 % over six hours",
                series=_calls("0+100x150", "0+9x72 653+5x40"),
                quiet=("6h45m",),
                every="5m",
            ),
            Story(title="too few calls to say", series=_calls("0+0.6x120", "0+0.3x120"), quiet=("9h",), every="5m"),
            Story(
                title="just enough calls to say",
                series=_calls("0+0.8x90", "0+0.4x90"),
                fires=("7h",),
                says=_burn_says("50%", "6h"),
                every="5m",
            ),
        ),
    ),
    _burn(
        "1d",
        severity="warning",
        stories=(
            Story(
                title="3.5 % of the calls fail, now and for a day",
                series=_calls("0+200x150", "0+7x150"),
                quiet=("1h",),
                fires=("1h20m", "24h"),
                says=_burn_says("3.5%", "1d"),
                every="10m",
            ),
            Story(title="2.5 % fail", series=_calls("0+200x150", "0+5x150"), quiet=("24h",), every="10m"),
            Story(
                title="it was bad all day and is over",
                series=_calls("0+100x200", "0+10x144 1440x50"),
                quiet=("26h30m",),
                every="10m",
            ),
            Story(
                title="it has only just begun",
                series=_calls("0+100x200", "0x150 0+10x13"),
                quiet=("27h",),
                every="10m",
            ),
            Story(
                title="4.5 % fail now, and 2.7 % over the day",
                series=_calls("0+200x250", "0+5x160 809+9x40"),
                quiet=("29h20m",),
                every="10m",
            ),
            Story(
                title="2.5 % fail now, and 4.3 % over the day",
                series=_calls("0+200x250", "0+9x160 1445+5x40"),
                quiet=("29h20m",),
                every="10m",
            ),
            Story(title="too few calls to say", series=_calls("0+0.3x200", "0+0.1x200"), quiet=("30h",), every="10m"),
            Story(
                title="just enough calls to say",
                series=_calls("0+0.4x200", "0+0.1x200"),
                fires=("30h",),
                says=_burn_says("25%", "1d"),
                every="10m",
            ),
        ),
    ),
    _burn(
        "3d",
        severity="info",
        stories=(
            Story(
                title="1.2 % of the calls fail, now and for three days",
                series=_calls("0+500x150", "0+6x150"),
                quiet=("3h",),
                fires=("4h", "50h"),
                says=_burn_says("1.2%", "3d"),
                every="30m",
            ),
            Story(title="0.8 % fail", series=_calls("0+500x200", "0+4x200"), quiet=("80h",), every="30m"),
            Story(
                title="it was bad for three days and is over",
                series=_calls("0+100x200", "0+10x144 1440x50"),
                quiet=("79h30m",),
                every="30m",
            ),
            Story(
                title="it has only just begun",
                series=_calls("0+100x200", "0x150 0+1x13"),
                quiet=("81h",),
                every="30m",
            ),
            Story(
                title="1.4 % fail now, and 0.9 % over three days",
                series=_calls("0+500x250", "0+4x160 647+7x40"),
                quiet=("88h",),
                every="30m",
            ),
            Story(
                title="0.8 % fail now, and 1.3 % over three days",
                series=_calls("0+500x250", "0+7x160 1124+4x40"),
                quiet=("88h",),
                every="30m",
            ),
            Story(title="too few calls to say", series=_calls("0+0.3x200", "0+0.1x200"), quiet=("90h",), every="30m"),
            Story(
                title="just enough calls to say",
                series=_calls("0+0.4x200", "0+0.1x200"),
                fires=("90h",),
                says=_burn_says("25%", "3d"),
                every="30m",
            ),
        ),
    ),
    Proof(
        alert="RefreshdInstitutionsHeld",
        severity="info",
        summary="A bank has been down for a day.",
        first="refreshd institutions",
        panel="refreshd-vendor?viewPanel=12",
        stories=(
            Story(
                title="two banks are down",
                series={"refreshd_institutions_held": "2x40", "refreshd_institutions_held@b": "0x40"},
                quiet=("20h",),
                fires=("30h",),
                says="2 institutions are held: one probe at a time, and none of their users is asked to reconnect.",
                every="1h",
            ),
            Story(title="none is", series={"refreshd_institutions_held": "0x90"}, quiet=("80h",), every="1h"),
        ),
    ),
)
