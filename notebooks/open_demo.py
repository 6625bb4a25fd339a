"""Open a working copy of the quickstart in JupyterLab; print its address where no browser opens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="vit-attention-widget-"))
    copy = folder / "quickstart.ipynb"
    shutil.copy(HERE / "quickstart.ipynb", copy)
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    command = [sys.executable, "-m", "jupyterlab", str(copy)]
    if not screen:
        print("No screen was found: open the address below in a browser, then Run > Run All Cells.")
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    print(f"This is a working copy in {folder}; the original stays as it is.", flush=True)
    subprocess.run(command, check=False)


if __name__ == "__main__":
    main()
