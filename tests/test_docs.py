"""The site has a page for everything, and every public name; `make docs` builds it strictly."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import vit_attention_widget as vaw

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def test_every_public_name_is_in_the_reference() -> None:
    said = set(re.findall(r"^\.\. auto\w+:: vit_attention_widget\.(\w+)", _api(), re.M))
    kinds = {"ImageLike", "ImagesLike"}  # types of arguments, which the functions describe
    assert said - {"widgets"} == set(vaw.__all__) - kinds


def test_every_page_is_in_the_contents() -> None:
    contents = (DOCS / "index.md").read_text("utf-8")
    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        assert name == "index" or re.search(rf"^{name}$", contents, re.M), name


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_code_of_a_page_is_python_of_public_names(page: Path) -> None:
    for block in re.findall(r"^ *```python\n(.*?)^ *```", page.read_text("utf-8"), re.M | re.S):
        for name in re.findall(r"\bvaw\.(\w+)", block):
            assert name in vaw.__all__
        tree = ast.parse(textwrap.dedent(block))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            public = _public(call.func)
            if public is None:
                continue
            parameters = inspect.signature(public).parameters
            if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
                continue
            for keyword in call.keywords:
                assert keyword.arg in parameters, f"{ast.unparse(call.func)}({keyword.arg}=...)"


def _public(called: ast.expr) -> Any:
    """What ``vaw.name`` or ``vaw.package.name`` is, which must be public; None for all else."""
    spelled = ast.unparse(called).split(".")
    if spelled[0] != "vaw" or not all(name.isidentifier() for name in spelled):
        return None
    owner: Any = vaw
    for name in spelled[1:]:
        if hasattr(owner, "__all__"):
            assert name in owner.__all__, ".".join(spelled)
        owner = getattr(owner, name)
    return owner


def test_the_live_page_is_in_the_site_and_the_first_link() -> None:
    [command] = re.findall(r"^docs:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert "live/build.py docs/_build/extra/live\n" in command
    for page in ("index", "gallery", "live"):
        assert 'href="live/index.html"' in (DOCS / f"{page}.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    first, *_ = re.findall(r"(?<!!)\[[^]]*\]\(([^)]*)\)", readme)
    assert first == "docs/live.md"


def test_pictures_are_small() -> None:
    for path in DOCS.glob("*.webp"):
        assert path.stat().st_size < 300_000


def _api() -> str:
    return (DOCS / "api.md").read_text("utf-8")
