"""The options that several commands share, said once."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file with settings (or REFRESHD_CONFIG); the environment wins over it.",
    ),
]

AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON for programs instead of text for people.")]
