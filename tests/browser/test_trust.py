"""Which map to trust: maps compared and scored in JupyterLab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks import check_ran

from .jupyterlab import Host, Lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "which_map_to_trust.ipynb"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(host: Host) -> Iterator[Lab]:
    with host.opened(NOTEBOOK) as lab:
        lab.page.set_viewport_size({"width": 1300, "height": 1000})
        lab.run_all(400)
        lab.python("view.wait()")
        lab.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
        lab.page.wait_for_selector(".vaw-root [data-testid=compare-maps]", timeout=30_000)
        yield lab


def find(lab: Lab, testid: str):  # type: ignore[no-untyped-def]
    return lab.page.locator(f".jp-OutputArea .vaw-root [data-testid={testid}]").first


def test_no_cell_failed(lab: Lab) -> None:
    check_ran(lab.notebook())


def test_compared_maps_are_scored(lab: Lab) -> None:
    button = find(lab, "score-compared")
    button.scroll_into_view_if_needed()
    button.click()
    find(lab, "scores-say").wait_for(timeout=60_000)
    lab.python("view.wait()")
    areas = json.loads(
        lab.python("import json; print(json.dumps(view.faithfulness['compared']['areas']))")
    )
    lab.page.wait_for_selector("[data-testid=score-compared]", state="detached")
    expect(find(lab, "scores-0")).to_contain_text(f"{areas[0]['map'][0]:.2f}")
    assert len(areas) == 9
    lab.screenshot("trust-1-compared")


def test_a_tile_selects_its_method_everywhere(lab: Lab) -> None:
    find(lab, "compare-2").click()
    name = lab.python("print(view._comparison['keys'][2])")
    assert lab.until("print(scrubber.method)", name) == name


def test_the_map_of_a_layer_is_scored(lab: Lab) -> None:
    lab.python("scrubber.selected_layer = 3; scrubber.wait()")
    button = find(lab, "score-map")
    button.scroll_into_view_if_needed()
    button.click()
    find(lab, "faithful-says").wait_for(timeout=60_000)
    expected = lab.python("print(f\"{scrubber.faithfulness['map']['areas']['map'][0]:.2f}\")")
    curve = lab.page.locator(".vaw-faithful-curve figcaption b").first
    expect(curve).to_have_text(expected)
    assert lab.python("print(scrubber.faithfulness['map']['layer'])") == "3"
    lab.screenshot("trust-2-map")
    find(lab, "frame-1").click()  # another map, another answer
    lab.page.wait_for_selector("[data-testid=score-map]")
