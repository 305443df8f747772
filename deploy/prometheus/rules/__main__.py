"""`python -m deploy.prometheus.rules` writes the files of the repository.

With `--overrides FILE --into DIRECTORY` it writes an installation's own.
"""

import argparse
import sys
from pathlib import Path

from deploy.prometheus.rules.overrides import Overrides, WrongOverride, read
from deploy.prometheus.rules.render import prometheus_rule, rules_file
from deploy.prometheus.rules.table import alerts

DEPLOY = Path(__file__).parents[2]
RULES = DEPLOY / "prometheus" / "rules.yml"
MANIFEST = DEPLOY / "kubernetes" / "monitoring" / "prometheusrule.yaml"


def main() -> int:
    asked = _arguments()
    if asked.list:
        sys.stdout.write(_listed())
        return 0
    try:
        overrides = Overrides() if asked.overrides is None else read(asked.overrides.read_text(encoding="utf-8"))
        texts = (rules_file(overrides), prometheus_rule(overrides))
    except (OSError, WrongOverride) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    paths = (RULES, MANIFEST) if asked.into is None else (asked.into / RULES.name, asked.into / MANIFEST.name)
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.prometheus.rules", description="Writes the rules of Prometheus."
    )
    parser.add_argument("--overrides", type=Path, help="TOML with what this installation changes")
    parser.add_argument("--into", type=Path, help="write there instead of into deploy/")
    parser.add_argument(
        "--list", action="store_true", help="list every alert with what can be overridden, and write nothing"
    )
    asked = parser.parse_args()
    if (asked.overrides is None) is not (asked.into is None):
        parser.error("--overrides and --into go together: the files of the repository are those of the table")
    return asked


def _listed() -> str:
    return "".join(
        f"{alert.name} severity={alert.severity} for={alert.lasts}"
        + "".join(f" {name}={value}" for name, value in alert.numbers.items())
        + (f" keep_firing_for={alert.lingers}" if alert.lingers else "")
        + "\n"
        for alert in alerts()
    )


if __name__ == "__main__":
    sys.exit(main())
