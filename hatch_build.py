"""Writes the commit that a wheel is built from into it, for `refreshd_build_info`; a build without one (an image's context) has none."""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
GIVEN = "SOURCE_REVISION"
"""Whoever builds without git at hand names the commit in this variable."""


class RevisionHook(BuildHookInterface):  # type: ignore[type-arg] # the build runs where nobody checks types
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        sys.path.insert(0, str(ROOT))
        from refreshd.revision import checked_out  # noqa: PLC0415 - found only now

        commit = os.environ.get(GIVEN) or checked_out(ROOT / ".git")
        if commit:
            file = Path(self.directory) / "revision"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(commit, encoding="utf-8")
            build_data["force_include"][str(file)] = "refreshd/_revision"
