"""A picture beside the widget: in the saved notebook, and on pages made of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter, LatexExporter
from playwright.sync_api import Browser, expect

from .jupyterlab import ARTIFACTS, Host, Lab, written

pytestmark = pytest.mark.browser

WIDGET = "application/vnd.jupyter.widget-view+json"
CELLS = [
    """
import vit_attention_widget as vaw

explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
explorer
""",
    "vaw.HeadImportanceGrid(session=explorer.session)",
]


def displayed(lab: Lab, cell: int) -> dict[str, Any]:
    """What a cell put out, once a picture is among it."""
    end = time.monotonic() + 30
    while True:
        [output] = lab.notebook().cells[cell].outputs
        if "image/png" in output.data or time.monotonic() > end:
            return dict(output.data)
        time.sleep(0.2)


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.run_all(200)
        lab.page.locator(".jp-OutputArea .vaw-root [data-testid=heads-canvas]").first.wait_for()
        yield lab


def test_the_saved_notebook_has_widget_and_picture(lab: Lab) -> None:
    for cell in range(2):
        data = displayed(lab, cell)
        assert {WIDGET, "image/png", "text/plain"} <= set(data)
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_the_widget_is_shown_once_and_goes_on(lab: Lab) -> None:
    displayed(lab, 0)
    output = lab.page.locator(".jp-Cell").nth(0).locator(".jp-OutputArea-output")
    output.locator(".vaw-root").wait_for()
    expect(output).to_have_count(1)
    expect(output.locator(".vaw-root")).to_have_count(1)
    expect(output.locator("img")).to_have_count(0)
    output.locator("[data-testid=prune-3-1]").click()
    assert lab.until("print(explorer.pruned_heads)", "[(3, 1)]") == "[(3, 1)]"
    output.locator("[data-testid=undo]").click()
    assert lab.until("print(explorer.pruned_heads)", "[]") == "[]"
    assert lab.errors == []


def test_a_page_of_nbconvert_shows_the_picture_without_the_network(
    lab: Lab, chromium: Browser, tmp_path: Path
) -> None:
    displayed(lab, 0), displayed(lab, 1)
    html, _ = HTMLExporter().from_notebook_node(lab.notebook())
    path = tmp_path / "notebook.html"
    path.write_text(html)
    context = chromium.new_context(offline=True, viewport={"width": 980, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    pictures = page.locator(".jp-OutputArea img")
    expect(pictures).to_have_count(2)
    assert pictures.evaluate_all("(all) => all.every((one) => one.naturalWidth > 400)")
    page.screenshot(path=ARTIFACTS / "nbconvert.png", full_page=True)
    context.close()
    latex, resources = LatexExporter().from_notebook_node(lab.notebook())
    assert len(resources["outputs"]) == 2
    assert all(name in latex for name in resources["outputs"])


def test_the_widget_saves_itself_as_a_page(lab: Lab, chromium: Browser, tmp_path: Path) -> None:
    with lab.page.expect_download() as download:
        lab.page.locator("[data-testid=save-page]").first.click()
    assert download.value.suggested_filename == "image.html"
    path = tmp_path / "image.html"
    download.value.save_as(path)
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator("[data-testid=heads-canvas]").wait_for()
    expect(page.locator(".vaw-status")).to_have_text("without the model")
    context.close()
    assert lab.errors == []


def test_a_notebook_of_somebody_else_shows_the_picture(
    lab: Lab, host: Host, tmp_path: Path
) -> None:
    """It is not trusted, so nothing of it runs before its cells. Ends the first one's kernel."""
    displayed(lab, 0), displayed(lab, 1)
    path = tmp_path / "given.ipynb"
    nbformat.write(lab.notebook(), path)
    with host.opened(path) as given:
        given.page.locator(".jp-OutputArea-output img").nth(1).wait_for()
        expect(given.page.locator(".vaw-root")).to_have_count(0)
        expect(given.page.locator(".jp-Notebook")).not_to_contain_text("Error displaying widget")
        given.screenshot("given-notebook")
