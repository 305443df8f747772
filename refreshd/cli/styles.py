"""The one place that says which verdict has which color."""

from refreshd.core.model import VerdictName

VERDICT_STYLES = {
    VerdictName.LEAKING: "bold red",
    VerdictName.HELD: "yellow",
    VerdictName.DISABLED: "dim",
    VerdictName.FRESH: "green",
    VerdictName.STALE: "bold yellow",
    VerdictName.FAILED: "yellow",
    VerdictName.RECONNECT: "magenta",
    VerdictName.DRIFTED: "cyan",
    VerdictName.QUARANTINED: "red",
    VerdictName.UNSEEN: "blue",
}
