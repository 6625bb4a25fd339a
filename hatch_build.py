"""Build the browser's part before the package, unless it is there or SKIP_JS_BUILD is set."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent


class JavaScriptHook(BuildHookInterface):
    """Run npm where the bundles are missing; an sdist carries them, so it needs no node."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build."""
        built = (ROOT / "vit_attention_widget" / "static" / "explorer.js").exists()
        if built or os.environ.get("SKIP_JS_BUILD"):
            return
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                "The JavaScript bundles are missing and npm was not found: install Node.js 20 or "
                "later, or set SKIP_JS_BUILD=1 to build without the widgets."
            )
        for command in (["install", "--no-save"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=ROOT / "js", check=True)
