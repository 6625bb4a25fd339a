"""A release by one command, ``make release``: built, checked, tried in fresh environments.

It says what is to be uploaded and what still stands against it, and uploads nothing unless asked
(``make release UPLOAD=pypi``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
TRIED = """
import shutil, vit_attention_widget as vaw
assert shutil.which("node") is None
explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=3).image)
assert explorer.wait(60) and explorer.top5
explorer.close()
"""


def main() -> int:
    """Build and check; 1 where something stands against an upload."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", nargs="*", default=PYTHONS, help="versions to try the wheel on")
    parser.add_argument("--upload", metavar="REPOSITORY", help="upload if all is well, e.g. pypi")
    options = parser.parse_args()
    files = build()
    wheel = next(path for path in files if path.suffix == ".whl")
    problems = [*twine_problems(files), *wheel_problems(wheel), *version_problems(ROOT)]
    problems += git_problems(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        for version in options.python:
            problems += trial_problems(wheel, version, Path(folder, version))
    print("\nTo be uploaded:")
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"  {path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB  sha256 {digest}")
    for problem in problems:
        print(f"  not yet: {problem}")
    if problems:
        return 1
    command = [sys.executable, "-m", "twine", "upload", *map(str, files)]
    if options.upload is None:
        print(f"All is well. Nothing was uploaded; this does it:\n  {' '.join(command)}")
        return 0
    return subprocess.run([*command, "--repository", options.upload], check=False).returncode


def build() -> list[Path]:
    """The sdist, and the wheel that is built from it."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", str(ROOT)], check=True)
    return sorted(DIST.iterdir())


def twine_problems(files: Iterable[Path]) -> Iterator[str]:
    """What a package index would not take, or not show."""
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    if subprocess.run(command, check=False).returncode:
        yield "twine finds faults in the metadata, see above"


def wheel_problems(wheel: Path) -> Iterator[str]:
    """What is missing in a wheel, or has no place there."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        notices = [name for name in names if name.endswith("static/LICENSES.txt")]
        texts = archive.read(notices[0]).decode() if notices else ""
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    folder = "vit_attention_widget"
    needed = [f"{folder}/static/explorer.js", f"{folder}/demo/weights.safetensors"]
    needed += [path.relative_to(ROOT).as_posix() for path in (ROOT / folder / "static").iterdir()]
    for name in [*needed, f"{folder}/py.typed"]:
        if name not in names:
            yield f"the wheel lacks {name}"
    if not any(name.startswith(folder) and ".dist-info/licenses/" in name for name in notices):
        yield "the wheel's metadata lacks the licenses of what is in the bundles"
    for package in json.loads((ROOT / "js/package.json").read_text("utf-8"))["dependencies"]:
        if f"{package} " not in texts:
            yield f"the wheel lacks the license of {package}"
    for name in names:
        if not name.startswith(folder):
            yield f"the wheel should not hold {name}"
    if "Project-URL:" not in metadata:
        yield "pyproject.toml names no [project.urls] (Source, Issues, Changelog, Documentation)"


def version_problems(root: Path) -> Iterator[str]:
    """Where another version stands than the package's own."""
    text = (root / "vit_attention_widget/__init__.py").read_text("utf-8")
    version = re.findall(r'^__version__ = "(.+)"$', text, re.M)[0]
    bundle = json.loads((root / "js/package.json").read_text("utf-8"))["version"]
    recipe = re.findall(r"^  version: (\S+)$", (root / "recipe/recipe.yaml").read_text(), re.M)[0]
    for file, other in (("js/package.json", bundle), ("recipe/recipe.yaml", recipe)):
        if other != version:
            yield f"{file} is of version {other}, the package of {version}"
    if f"\n## {version}" not in (root / "CHANGELOG.md").read_text("utf-8"):
        yield f"CHANGELOG.md has no section {version}"


def git_problems(root: Path) -> Iterator[str]:
    """What is not committed."""
    command = ["git", "status", "--porcelain"]
    status = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if status.stdout:
        yield f"{len(status.stdout.splitlines())} files are not as they were committed"


def trial_problems(wheel: Path, version: str, folder: Path) -> Iterator[str]:
    """The wheel alone, in a fresh environment of some Python, without node."""
    print(f"\nPython {version}:", flush=True)
    uv = [sys.executable, "-m", "uv"]
    environment = {**os.environ, "PATH": str(folder / "bin")}
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    made = subprocess.run([*uv, "venv", "-q", "--python", version, str(folder)], check=False)
    if made.returncode:
        yield f"Python {version} was not found here: the wheel was not tried on it"
        return
    for what, command in (
        ("installed", [*uv, "pip", "install", "-q", "--python", str(python), f"{wheel}[app]"]),
        ("used", [str(python), "-c", TRIED]),
        ("called as vaw", [str(python), "-m", "vit_attention_widget", "--help"]),
    ):
        done = subprocess.run(
            command, cwd=folder, env=environment, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            yield f"on Python {version} the wheel could not be {what}, see above"
            return
    print("  installs, and works", flush=True)


if __name__ == "__main__":
    sys.exit(main())
