"""The HTML of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Literal

from .built_files import built_file
from .parts import packed

__all__ = ["Theme", "document"]

Theme = Literal["auto", "light", "dark"]

_NO_NETWORK = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
"""The browser itself refuses whatever the page might ask the network for."""

_STYLE = """\
html { --jp-layout-color1: #ffffff; color-scheme: light }
html[data-jp-theme-light="false"] {
  color-scheme: dark;
  --jp-layout-color1: #111417; --jp-layout-color2: #1e2328; --jp-border-color2: #343b42;
  --jp-ui-font-color1: #e6e9ec; --jp-ui-font-color2: #a3adb8;
}
[data-vaw-widget] + [data-vaw-widget] { margin-top: 24px }
body { margin: 0; background: var(--jp-layout-color1); color: var(--jp-ui-font-color1, #1f2328) }
"""


def document(
    title: str, theme: Theme, stems: Iterable[str], parts: Mapping[int, str], widgets: int
) -> str:
    """A page with places for so many widgets, their code, and what it knows in parts."""
    code = {stem: packed(built_file(f"{stem}.js").read_bytes()) for stem in dict.fromkeys(stems)}
    held = [_held("part", str(number), text) for number, text in parts.items()]
    held += [_held("code", stem, text) for stem, text in code.items()]
    places = ["<div data-vaw-widget></div>"] * widgets
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en" data-vaw-theme="{theme}">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_NO_NETWORK}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f"<style data-vaw-style>{_inside('style', 'style.css')}</style>",
            "</head>",
            "<body>",
            *places,
            "<noscript>This page needs JavaScript.</noscript>",
            *held,
            f'<script type="module">{_inside("script", "page.js")}</script>',
            "</body>",
            "</html>",
            "",
        ]
    )


def _held(kind: str, name: str, text: str) -> str:
    return f'<script type="application/gzip" data-vaw-{kind}="{name}">{text}</script>'


def _inside(element: str, name: str) -> str:
    """A built file as what stands in an element, which it must not end."""
    text = built_file(name).read_text("utf-8")
    assert f"</{element}" not in text.lower()
    assert "<!--" not in text
    return text
