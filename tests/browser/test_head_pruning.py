"""Head pruning as a class would do it: click, drag, undo, cancel, save, and read it in Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks import check_ran

from .jupyterlab import Host, Lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "head_pruning.ipynb"
GRID = ".jp-OutputArea .vaw-root"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(host: Host) -> Iterator[Lab]:
    with host.opened(NOTEBOOK) as lab:
        lab.run_all(300)
        lab.page.evaluate("document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
        lab.page.wait_for_selector(f"{GRID} [data-testid=heads-canvas]", timeout=60_000)
        lab.python("grid.wait()")
        yield lab


def click(lab: Lab, testid: str) -> None:
    lab.page.locator(f"{GRID} [data-testid={testid}]").first.click()


def pruned(lab: Lab, expected: str) -> str:
    return lab.until("print(grid.pruned_heads)", expected)


def test_no_cell_failed(lab: Lab) -> None:
    check_ran(lab.notebook())


def test_prune_by_click_and_undo(lab: Lab) -> None:
    lab.page.locator(f"{GRID} [data-testid=head-2-3]").first.hover()
    click(lab, "prune-2-3")
    assert pruned(lab, "[(2, 3)]") == "[(2, 3)]"
    lab.python("grid.wait()")
    accuracy = lab.page.locator(f"{GRID} [data-testid=accuracy]").first
    accuracy.get_by_text("→").wait_for()
    expect(accuracy).to_contain_text("(n = ")
    told = json.loads(lab.python("import json; print(json.dumps(grid.accuracy))"))
    assert told["count"] == 60
    assert told["after"] < told["before"]  # the head that matters most
    lab.screenshot("head-pruning-pruned", GRID)
    click(lab, "undo")
    assert pruned(lab, "[]") == "[]"
    click(lab, "redo")
    assert pruned(lab, "[(2, 3)]") == "[(2, 3)]"
    click(lab, "reset")
    assert pruned(lab, "[]") == "[]"


def test_drag_over_several_heads(lab: Lab) -> None:
    first = lab.page.locator(f"{GRID} [data-testid=head-0-0]").first
    first.evaluate("(head) => head.scrollIntoView({block: 'center'})")
    start = first.bounding_box()
    end = lab.page.locator(f"{GRID} [data-testid=head-1-1]").first.bounding_box()
    assert start is not None
    assert end is not None
    mouse = lab.page.mouse
    mouse.move(start["x"] + 20, start["y"] + 40)
    mouse.down()
    mouse.move(end["x"] + 20, end["y"] + 40, steps=8)
    mouse.up()
    lab.screenshot("head-pruning-brushed", GRID)
    click(lab, "prune-brushed")
    expected = "[(0, 0), (0, 1), (1, 0), (1, 1)]"
    assert pruned(lab, expected) == expected
    shape = lab.python("print([b.attn.num_heads for b in grid.pruned_model().blocks])")
    assert shape == "[2, 2, 4, 4, 4, 4]"
    click(lab, "reset")
    assert pruned(lab, "[]") == "[]"


def test_metrics_change_without_the_kernel(lab: Lab) -> None:
    lab.python("grid.wait()")
    lab.page.locator(f"{GRID} [data-testid=metric]").first.select_option("jsd")
    assert lab.until("print(grid.metric)", "jsd") == "jsd"
    head = lab.page.locator(f"{GRID} [data-testid=head-2-3]").first
    value = float(lab.python("print(grid.importance[2, 3])"))
    rounded = f"importance ({value:.3f}|{value:.4f})"
    expect(head).to_have_attribute("aria-label", re.compile(rounded))
    lab.page.locator(f"{GRID} [data-testid=metric]").first.select_option("probability")


@pytest.mark.parametrize("view", ["line", "ranked"])
def test_charts(lab: Lab, view: str) -> None:
    lab.page.locator(f"{GRID} [data-testid=head-view]").first.get_by_text(view).click()
    chart = lab.page.locator(f"{GRID} [data-testid=head-chart]").first
    box = chart.bounding_box()
    assert box is not None
    chart.click(position={"x": 44 + (box["width"] - 54) * 15 / 25, "y": 60})
    if view == "line":  # x = 1 + 4 l + h = 15
        assert lab.until("print(grid.selected_layer, grid.selected_head)", "3 2") == "3 2"
    lab.screenshot(f"head-pruning-{view}", GRID)
    lab.page.locator(f"{GRID} [data-testid=head-view]").first.get_by_text("grid").click()


def test_parts_of_a_head(lab: Lab) -> None:
    lab.page.locator(f"{GRID} [data-testid=head-2-3]").first.click(position={"x": 8, "y": 40})
    click(lab, "fold-partial")
    table = lab.page.locator(f"{GRID} [data-testid=partial]").first
    table.get_by_text("layer 2, head 3").wait_for()
    expect(table.locator("tbody tr")).to_have_count(6)


def test_cancel_a_curve(lab: Lab) -> None:
    click(lab, "fold-curve")
    click(lab, "curve-greedy")
    lab.page.locator(f"{GRID} [data-testid=curve] polyline").first.wait_for()
    click(lab, "cancel")
    assert lab.python("print(grid.wait(60))") == "True"
    steps = int(lab.python("print(len(grid.curves['greedy']['values']))"))
    assert 1 <= steps < 25  # what was computed stays, the rest was not
    click(lab, "curve-random")
    assert lab.until("print(len(grid.curves.get('random', {}).get('values', [])))", "25") == "25"
    lab.screenshot("head-pruning-curves", GRID)


@pytest.mark.parametrize("kind", ["PNG", "SVG", "CSV"])
def test_save(lab: Lab, kind: str, tmp_path: Path) -> None:
    click(lab, "save-heads")
    with lab.page.expect_download() as waiting:
        click(lab, f"save-heads-{kind}")
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"heads.{kind.lower()}"
    data = path.read_bytes()
    if kind == "PNG":
        assert data.startswith(b"\x89PNG")
        (path.parent / path.name).rename(tmp_path / "kept.png")
    elif kind == "SVG":
        assert b"<image" in data
        assert b">5</text>" in data
    else:
        assert len(data.decode().split("\r\n")) == 25


def test_nothing_went_wrong(lab: Lab) -> None:
    assert lab.errors == []
    assert lab.foreign == []
