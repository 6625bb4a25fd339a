"""VS Code and Colab by their rules, which were read, not run: `docs/hosts.md` says from where."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page

import vit_attention_widget as vaw
from vit_attention_widget.widgets import bundle

from .jupyterlab import ARTIFACTS
from .simulated import Rules, shown

pytestmark = pytest.mark.browser

VS_CODE = Rules(
    handed_on="(all) => all.map((one) => new DataView(decoded(one).buffer))",
    kernel='{ kernel: { status: "idle", isDisposed: false } }',
    page="""
<!doctype html>
<html style="--vscode-editor-background: #1e1e1e; --vscode-editor-foreground: #cccccc;
             --vscode-descriptionForeground: #a0a0a1; --vscode-panel-border: #808080;
             --vscode-editorWidget-background: #252526">
<style>
  :root { --jp-layout-color1: white; --jp-layout-color2: #eeeeee; --jp-border-color2: #e0e0e0;
          --jp-ui-font-color1: rgba(0, 0, 0, 0.87); --jp-ui-font-color2: rgba(0, 0, 0, 0.54) }
  .cell-output-ipywidget-background { background: white !important; padding: 10px }
  body { background: #1e1e1e; color: #cccccc }
  code, td, th, table, svg text { color: red !important; font-size: 30px !important }
</style>
<body class="vscode-dark"><div id="container"><div class="output">
  <div class="cell-output-ipywidget-background"><div id="widget"></div></div>
</div></div></body></html>""",
)
"""One page for all cells; ipywidgets' own sheet, which is that of a light page; white below it."""

COLAB = Rules(
    handed_on="(all) => all.length ? all.map(decoded) : undefined",
    page="""<!doctype html><iframe sandbox="allow-scripts" style="width: 1080px; height: 1280px"
        srcdoc="<!doctype html><body><div id='widget'></div></body>"></iframe>""",
)
"""Each cell a frame, which reaches no other; bytes as Uint8Array, and nothing where there are none;
a manager that knows of no kernel."""


class ForVSCode(vaw.Explorer):
    """Its code is put on a class of its own, and not on what other tests show."""


class ForColab(vaw.Explorer):
    """As above."""


@pytest.fixture
def in_vs_code(
    chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Page, list[str]]]:
    monkeypatch.setattr(bundle, "_in_notebook", lambda: True)
    widget = ForVSCode(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    parts = [part for part in (widget._bundle, widget._more) if part is not None]
    models = {part.model_id: part.get_state() for part in parts}
    with shown(widget, models, VS_CODE, chromium) as page:
        yield page
    widget.close()


def _works(within: Locator) -> None:
    """It paints, and Python runs the model without a head."""
    within.get_by_test_id("heads-canvas").first.wait_for()
    within.get_by_text("ready").first.wait_for()
    within.get_by_test_id("head-2-2").first.hover()
    within.get_by_test_id("prune-2-2").first.click()
    within.get_by_test_id("decision").first.get_by_text("before").wait_for()


def _colors(page: Page) -> list[str]:
    """Ground, letters, accent and the ground outside."""
    return page.locator(".vaw-root").evaluate(  # type: ignore[no-any-return]
        """(root) => [
          getComputedStyle(root).backgroundColor,
          getComputedStyle(root).color,
          getComputedStyle(root).getPropertyValue("--vaw-accent").trim(),
          getComputedStyle(document.querySelector("#widget").parentElement).backgroundColor,
        ]"""
    )


def test_vs_code(in_vs_code: tuple[Page, list[str]]) -> None:
    page, errors = in_vs_code
    _works(page.locator("body"))
    page.screenshot(path=ARTIFACTS / "vs-code-dark.png")
    dark = ["rgb(30, 30, 30)", "rgb(204, 204, 204)", "#6ea8fe", "rgb(30, 30, 30)"]
    assert _colors(page) == dark
    for theme, accent in (
        ("vscode-high-contrast", "#6ea8fe"),
        ("vscode-high-contrast vscode-high-contrast-light", "#2563eb"),
        ("vscode-light", "#2563eb"),
    ):
        page.evaluate("(theme) => { document.body.className = theme }", theme)
        assert _colors(page)[2] == accent
    page.evaluate("document.querySelector('.output').classList.add('widget-box')")
    page.evaluate("document.querySelector('#widget').classList.add('widget-box')")
    assert _colors(page)[3] == "rgb(255, 255, 255)"  # beside others, which are drawn for white
    page.get_by_test_id("view-strength").first.click()  # its code comes later
    page.get_by_test_id("panel-strength").locator("svg").first.wait_for()
    assert errors == []


def test_colab(chromium: Browser) -> None:
    widget = ForColab(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    asked: list[str] = []
    widget.on_msg(lambda _, content, __: asked.append(content.get("method", "")))
    with shown(widget, {}, COLAB, chromium) as (page, errors):
        inside = page.frame_locator("iframe").locator("body")
        _works(inside)
        for i in range(40):  # until whole matrices have come, as bytes, and could be read
            asked.clear()
            place = {"x": 20 + 40 * (i % 2), "y": 20}
            inside.get_by_test_id("patch-canvas").first.click(position=place)
            page.wait_for_timeout(100)
            if "rows" not in asked:
                break
        assert "rows" not in asked
        page.screenshot(path=ARTIFACTS / "colab.png")
        assert errors == []
    widget.close()
