"""The house is as ARCHITECTURE.md says: its list of packages, and names that do not collide."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from pathlib import Path

import vit_attention_widget as vaw

ROOT = Path(vaw.__file__).parent
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}


def test_the_map_is_the_folder_listing() -> None:
    text = (ROOT.parent / "ARCHITECTURE.md").read_text("utf-8")
    table = text[text.index("## The house") : text.index("### Where to change what")]
    rows = "\n".join(line for line in table.splitlines() if line.startswith("| `"))
    first_column = "\n".join(row.split("|")[1] for row in rows.splitlines())
    assert set(re.findall(r"`(\w+)/`", first_column)) - {"static"} == PACKAGES
    for path in re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?)`", text):
        assert (ROOT / path).exists() or (ROOT.parent / path).exists(), path


def test_nothing_stands_loose_at_the_root() -> None:
    loose = {path.name for path in ROOT.iterdir() if path.is_file()}
    assert loose <= {"__init__.py", "__main__.py", "errors.py", "py.typed"}


def test_no_module_is_hidden_by_a_function_of_its_name() -> None:
    for name in PACKAGES - {"static"}:
        package = importlib.import_module(f"vit_attention_widget.{name}")
        for module in pkgutil.iter_modules(package.__path__):
            public = getattr(package, module.name, None)
            assert not callable(public), f"{name}.{module.name}"


def test_what_the_live_page_is_built_with_is_named() -> None:
    project = (ROOT.parent / "pyproject.toml").read_text("utf-8")
    named = {
        extra: set(
            re.findall(
                r'"([\w-]+)>=', re.findall(rf"^{extra} = \[(.*?)^\]", project, re.M | re.S)[0]
            )
        )
        for extra in ("dependencies", "docs", "test")
    }
    for script in (ROOT.parent / "live").glob("*.py"):
        tree = ast.parse(script.read_text("utf-8"))
        modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        modules += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        others = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names)
        for extra in ("docs", "test"):
            unnamed = others - named["dependencies"] - named[extra]
            assert unnamed <= {"live", "vit_attention_widget"}, (script.name, extra)
