"""What the host and a widget must not do to each other, in JupyterLab: keys stay inside, its
rules for output outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, expect

from .jupyterlab import Host, Lab, written

pytestmark = pytest.mark.browser

WIDGET = ".jp-OutputArea .vaw-root"
CELLS = [
    "before = 0",
    """
import vit_attention_widget as vaw

explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
explorer.wait()
explorer
""",
    """
import ipywidgets

slider = ipywidgets.IntSlider(value=explorer.selected_layer, max=5)
ipywidgets.jslink((slider, "value"), (explorer, "selected_layer"))
slider
""",
    "after = 0",
]
COMMANDS = ["x", "a", "b", "y", "m", "d", "d", "0", "0", "i", "i", "Enter", "Shift+Enter"]
"""Keys that cut, add, delete, change and run cells, restart and interrupt the kernel."""


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.page.set_viewport_size({"width": 1280, "height": 1600})
        lab.page.set_default_timeout(10_000)
        lab.run_all(200)
        find(lab, "heads-canvas").wait_for()
        yield lab


def find(lab: Lab, testid: str) -> Locator:
    return lab.page.locator(f"{WIDGET} [data-testid={testid}]").first


def notebook(lab: Lab) -> list[list[str]]:
    """Kind and number of every cell, and whatever else the keys might have opened."""
    return lab.page.evaluate(  # type: ignore[no-any-return]
        """() => [
          [...window.jupyterapp.shell.currentWidget.content.widgets].map(({ model }) =>
            `${model.type} ${model.executionCount}`),
          [...document.querySelectorAll('.jp-Dialog')].map((dialog) => dialog.textContent),
        ]"""
    )


DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""What was pressed shows."""


def undone(lab: Lab) -> None:
    """Prune and undo: the button that was pressed, and has the focus, is disabled by it."""
    find(lab, "head-2-2").hover()
    find(lab, "prune-2-2").click()
    undo = find(lab, "undo")
    while undo.is_enabled():  # what was chosen before is undone, too
        undo.click()
        lab.page.evaluate(DRAWN)


RULES = """
  .jp-OutputArea dt, .rendered_html dt { float: left; clear: left; width: 20% }
  .jp-OutputArea dd, .rendered_html dd { margin-left: 20%; margin-bottom: 1em }
  .jp-OutputArea table, table { border: 3px solid red; font-size: 20px; margin: 1em }
  .jp-OutputArea td, .jp-OutputArea th, td, th { padding: 12px; border: 1px solid red }
  .jp-OutputArea tbody tr:nth-child(odd), tr { background: yellow; height: 60px }
  .jp-OutputArea button, button { padding: 14px; border: 4px solid red; font-size: 20px }
  .jp-OutputArea input, input, select, textarea { width: 100%; background: yellow }
  .jp-OutputArea p, p, ul, li, h2, h3, label, fieldset, figure { margin: 2em }
  .jp-OutputArea svg, svg, canvas, img { max-width: 50px; filter: invert(1) }
  .jp-OutputArea svg text, text { font-size: 30px }
  .jp-OutputArea i, b, span, a, small, pre, code { font-size: 30px; background: yellow }
  .jp-OutputArea { text-align: right; letter-spacing: 4px; text-transform: uppercase }
  .jp-OutputArea { white-space: pre; font: 30px/3 monospace; cursor: wait; color: red }
"""
"""What JupyterLab, Notebook and VS Code say of output, and worse."""

LOOKS = """(root) => [root, ...root.querySelectorAll('*')]
  .filter((element) => element.getClientRects().length > 0)
  .map((element) => {
    const from = root.getBoundingClientRect();
    const { x, y, width, height } = element.getBoundingClientRect();
    const box = [x - from.x, y - from.y, width, height].map((pixels) => pixels.toFixed(1));
    const style = getComputedStyle(element);
    const says = ["font", "color", "backgroundColor", "borderTopWidth", "letterSpacing"];
    return [element.localName, ...box, ...says.map((name) => style[name])].join(" ");
  })"""
"""Where every element lies, and what it looks like."""

PRESSED: dict[str, Callable[[Lab], None]] = {
    "title": lambda lab: lab.page.locator(f"{WIDGET} h2").first.click(),
    "picture": lambda lab: find(lab, "patch-canvas").click(),
    "text": lambda lab: find(lab, "readout").click(),
    "head": lambda lab: find(lab, "head-2-1").click(position={"x": 8, "y": 30}),
    "disabled button": undone,
    "frame": lambda lab: find(lab, "frame-2").click(),
    "drop-down": lambda lab: find(lab, "metric").focus(),
    "slider": lambda lab: find(lab, "layer-slider").focus(),
    "input": lambda lab: find(lab, "class-picker").click(),
    "closed panel": lambda lab: find(lab, "close-film").click(),
}


def test_a_slider_of_others_is_linked_in_the_browser(lab: Lab) -> None:
    """Both ways, and Python knows of it."""
    slider = lab.page.locator(".jp-OutputArea .widget-slider")
    slider.locator(".noUi-handle").press("ArrowLeft")
    expect(find(lab, "layer-slider")).to_have_value("4")
    assert lab.until("print(explorer.selected_layer)", "4") == "4"
    find(lab, "frame-2").click()
    expect(slider.locator(".widget-readout")).to_have_text("2")


@pytest.mark.parametrize("place", PRESSED)
def test_no_key_pressed_in_a_widget_reaches_the_notebook(lab: Lab, place: str) -> None:
    before = notebook(lab)
    PRESSED[place](lab)
    for key in COMMANDS:
        lab.page.keyboard.press(key)
    lab.page.wait_for_timeout(100)
    assert notebook(lab) == before
    lab.page.keyboard.press("Escape")


def test_keys_pressed_outside_are_the_notebooks(lab: Lab) -> None:
    before = len(notebook(lab)[0])
    lab.page.locator(".jp-Notebook .jp-InputPrompt").first.click()
    lab.page.keyboard.press("b")
    lab.page.wait_for_timeout(200)
    assert len(notebook(lab)[0]) == before + 1
    lab.page.evaluate("window.jupyterapp.commands.execute('notebook:undo-cell-action')")


def test_a_copy_of_a_text_is_the_browsers(lab: Lab) -> None:
    """What is pressed with Ctrl is left to browser and host."""
    field = find(lab, "class-picker")
    field.fill("sta")
    field.press("Control+a")
    field.press("Control+x")
    expect(field).to_have_value("")
    field.press("Escape")


def test_rules_for_output_stay_outside(lab: Lab) -> None:
    lab.python("explorer.pruned_heads = [(2, 0)]; explorer.selected_head = 1")
    lab.python("explorer.wait()")
    for testid in ("view-strength", "fold-partial"):
        find(lab, testid).click()
    find(lab, "partial").wait_for()
    find(lab, "hop-profile").wait_for()
    lab.page.locator(f"{WIDGET} .vaw-help-button").click()
    lab.page.mouse.move(5, 5)
    lab.page.wait_for_timeout(500)
    root = lab.page.locator(WIDGET).first
    before = root.evaluate(LOOKS)
    assert len(before) > 500
    sheet = lab.page.add_style_tag(content=RULES)
    lab.page.wait_for_timeout(300)
    after = root.evaluate(LOOKS)
    sheet.evaluate("(element) => element.remove()")
    assert [one for one, was in zip(after, before, strict=True) if one != was] == []


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_the_help_can_be_read(lab: Lab, theme: str) -> None:
    lab.theme(theme)
    words = lab.page.locator(f"{WIDGET} .vaw-help dt, {WIDGET} .vaw-help dd")
    boxes = words.evaluate_all(
        """(all) => all.map((one) => one.getBoundingClientRect())
          .map((box) => [box.x, box.y, box.right, box.bottom])"""
    )
    assert len(boxes) > 20
    for i, (left, top, right, bottom) in enumerate(boxes):
        for x, y, to_x, to_y in boxes[:i]:
            assert to_x <= left or right <= x or to_y <= top or bottom <= y
    root = lab.page.locator(WIDGET).first
    background = root.evaluate("(root) => getComputedStyle(root).backgroundColor")
    red = int(background.split("(")[1].split(",")[0])
    assert (red < 60) == (theme == "JupyterLab Dark")
    lab.screenshot(f"host-{theme.split()[-1].lower()}")


def test_nothing_went_wrong(lab: Lab) -> None:
    assert lab.errors == []
