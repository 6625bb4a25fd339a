"""The reading of Li et al. in one Explorer: image, head, its strength, its pattern, its matrix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks import check_ran

from .jupyterlab import ARTIFACTS, Host, Lab
from .texts import PIXELS, check_repainted

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "strength_and_patterns.ipynb"
EXPLORER = ".jp-OutputArea .vaw-root:has(.vaw-explorer)"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(host: Host) -> Iterator[Lab]:
    with host.opened(NOTEBOOK) as lab:
        lab.page.set_viewport_size({"width": 1400, "height": 1100})
        lab.run_all(400)
        lab.python("explorer.wait()")
        show(lab)
        yield lab


def show(lab: Lab) -> None:
    """Bring the Explorer into the window, which holds only the cells that are near."""
    lab.page.evaluate(
        """async () => {
          const panel = document.querySelector('.jp-WindowedPanel-outer');
          for (let top = 0; top < 40000; top += 400) {
            panel.scrollTo(0, top);
            await new Promise((done) => setTimeout(done, 60));
            const shown = document.querySelector('.jp-OutputArea .vaw');
            if (shown) { shown.scrollIntoView(); return; }
          }
        }"""
    )
    lab.page.wait_for_selector(f"{EXPLORER} [data-testid=heads-canvas]", timeout=30_000)


def find(lab: Lab, testid: str):  # type: ignore[no-untyped-def]
    return lab.page.locator(f"{EXPLORER} [data-testid={testid}]").first


def test_no_cell_failed(lab: Lab) -> None:
    check_ran(lab.notebook())


def test_1_choose_an_image(lab: Lab) -> None:
    lay_out = find(lab, "lay-out")
    lay_out.scroll_into_view_if_needed()
    lay_out.click()
    assert lab.until("print(explorer._overview.get('layout'))", "t-SNE", 120) == "t-SNE"
    lab.screenshot("reading-1-images", f"{EXPLORER} [data-testid=panel-images]")
    before = find(lab, "patch-canvas").evaluate(PIXELS)
    number = find(lab, "image-number")
    number.fill("11")
    number.press("Enter")
    assert lab.until("print(explorer.selected_image)", "11") == "11"
    lab.python("explorer.wait()")
    label = lab.python("print(labelled[11][1])")
    assert label in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    check_repainted(find(lab, "patch-canvas"), before)


def test_2_its_most_important_head(lab: Lab) -> None:
    layer, head = json.loads(
        lab.python(
            "import json; i = explorer.importance; "
            "print(json.dumps(divmod(int(np.nanargmax(i)), i.shape[1])))"
        )
    )
    cell = find(lab, f"head-{layer}-{head}")
    cell.scroll_into_view_if_needed()
    cell.click(position={"x": 8, "y": 30})
    here = f"{layer} {head}"
    assert lab.until("print(explorer.selected_layer, explorer.selected_head)", here) == here
    lab.page.mouse.move(5, 5)
    says = find(lab, "strength-says")
    says.wait_for()
    says.filter(has_text=re.compile(f"^layer {layer}, head {head}")).wait_for()
    lab.screenshot("reading-2-strength", f"{EXPLORER} [data-testid=panel-strength]")


def test_3_its_matrix_appears_at_once(lab: Lab) -> None:
    """The matrix of another head is painted within 100 ms of the click."""
    find(lab, "matrix").scroll_into_view_if_needed()
    spent = find(lab, "matrix").evaluate(
        """async (canvas) => {
          const root = canvas.closest(".vaw-root");
          const of = (name) => root.querySelector(`[data-testid=${name}]`);
          const painted = () => of("matrix")?.toDataURL();  // none while its layer is on its way
          const times = [];
          for (const name of ["head-0-0", "head-3-2", "head-5-1"]) {
            const before = painted();
            const start = performance.now();
            of(name).click();
            while ((painted() ?? before) === before && performance.now() - start < 10000)
              await new Promise((done) => setTimeout(done));
            times.push(performance.now() - start);
          }
          return times;
        }"""
    )
    (ARTIFACTS / "head-to-matrix.json").write_text(json.dumps(spent))
    assert max(spent) < 10_000, "a click on a head left the matrix as it was"
    print(f"click on a head to its matrix: {max(spent):.0f} ms at most")


def test_4_its_pattern(lab: Lab) -> None:
    panel = find(lab, "panel-patterns")
    panel.scroll_into_view_if_needed()
    find(lab, "pattern-map").wait_for()
    find(lab, "alike").wait_for()
    first = find(lab, "alike").locator("button").first
    layer, head = first.inner_text().split(".")
    first.click()
    here = f"{layer} {head}"
    assert lab.until("print(explorer.selected_layer, explorer.selected_head)", here) == here
    name = lab.python(
        "placed = patterns.place(explorer.session.trace)['patches']; "
        "i = [tuple(h[1:]) for h in placed.heads].index("
        "(explorer.selected_layer, explorer.selected_head)); "
        "print(patterns.clusters[placed.labels[i]].name)"
    )
    lab.page.mouse.move(5, 5)
    expected = f"layer {layer}, head {head} here: {name}"
    expect(find(lab, "pattern-says")).to_have_text(expected)
    lab.screenshot("reading-4-patterns", f"{EXPLORER} [data-testid=panel-patterns]")


def test_5_a_lasso_brushes_heads_that_can_be_pruned(lab: Lab) -> None:
    scatter = find(lab, "pattern-map")
    scatter.scroll_into_view_if_needed()
    box = scatter.bounding_box()
    assert box is not None
    mouse, corners = lab.page.mouse, [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    x, y = box["x"], box["y"]
    mouse.move(x + box["width"] * 0.02, y + box["height"] * 0.02)
    mouse.down()
    for across, down in [*corners[1:], corners[0]]:
        mouse.move(x + box["width"] * across, y + box["height"] * down, steps=6)
    mouse.up()
    words = "1440 heads (100 %) of 60 images, 24 of this image"
    expect(find(lab, "lasso-says")).to_contain_text(words)
    scatter.click(position={"x": 3, "y": 3})
    expect(lab.page.locator(f"{EXPLORER} [data-testid=lasso-says]")).to_have_count(0)


def test_6_light_and_dark(lab: Lab) -> None:
    find(lab, "heads-canvas").scroll_into_view_if_needed()
    lab.screenshot("reading-explorer-light")
    lab.theme("JupyterLab Dark")
    show(lab)
    lab.page.wait_for_timeout(600)
    lab.screenshot("reading-explorer-dark")
    lab.theme("JupyterLab Light")


def test_panels_close_and_come_back(lab: Lab) -> None:
    show(lab)
    find(lab, "close-images").click()
    expected = "['picture', 'decision', 'heads', 'detail', 'strength', 'patterns']"
    assert lab.until("print(explorer.panels)", expected) == expected
    lab.python("explorer.panels = ['picture', 'patterns']")
    find(lab, "heads-canvas").wait_for(state="detached")
    lab.screenshot("reading-two-panels", EXPLORER)


def test_nothing_failed_in_the_browser(lab: Lab) -> None:
    assert lab.foreign == []
    ours = [error for error in lab.errors if "vaw" in error or "esm" in error]
    assert ours == []
