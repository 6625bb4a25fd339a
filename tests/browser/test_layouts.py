"""Widgets inside boxes, tabs, accordions, outputs and grids of ipywidgets keep a sensible size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from .jupyterlab import Host, Lab, written

pytestmark = pytest.mark.browser

WIDGETS = [
    "Explorer",
    "HeadImportanceGrid",
    "DAAMScrubber",
    "AttentionInspector",
    "HeadStrengthView",
    "AttentionPatternMap",
    "CompareView",
]
CELLS = [
    f"""
import ipywidgets
import vit_attention_widget as vaw

session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
session.wait()
kinds = [getattr(vaw, name) for name in {WIDGETS}]

def made(**layout):
    return [kind(session=session, layout=layout or None) for kind in kinds]
""",
    "ipywidgets.VBox(made())",
    "ipywidgets.VBox([ipywidgets.HBox([a, b]) for a, b in zip(made(), made())])",
    "ipywidgets.HBox([ipywidgets.Button(description='beside'), *made()[:1]])",
    "tab = ipywidgets.Tab(made(), titles=[kind.__name__ for kind in kinds])\ntab",
    "accordion = ipywidgets.Accordion(made(), selected_index=0)\naccordion",
    """
output = ipywidgets.Output()
with output:
    for widget in made():
        display(widget)
output
""",
    """
grid = ipywidgets.GridspecLayout(4, 2, height="1200px")
for i, widget in enumerate(made()):
    grid[i // 2, i % 2] = widget
grid
""",
    "ipywidgets.VBox(made(width='444px', max_height='300px'))",
]
VBOX, HBOX, BESIDE, TAB, ACCORDION, OUTPUT, GRID, GIVEN = range(1, 9)


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.page.set_viewport_size({"width": 1280, "height": 1200})
        lab.page.set_default_timeout(20_000)
        lab.run_all(200)
        yield lab


def cell(lab: Lab, number: int) -> Locator:
    """A cell that is in sight: the notebook holds only those that are near."""
    lab.page.evaluate(
        """async (number) => {
          const { content } = window.jupyterapp.shell.currentWidget;
          content.activeCellIndex = number;
          await content.scrollToItem(number, "start");
        }""",
        number,
    )
    there = lab.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}']")
    there.locator(".vaw-root .vaw-panel").first.wait_for()
    lab.page.wait_for_timeout(700)
    return there


def sizes(place: Locator) -> list[tuple[float, float]]:
    """Width of every widget that shows, and how much of it lies outside of it."""
    return place.locator(".vaw:visible").evaluate_all(  # type: ignore[no-any-return]
        """(all) => all.map((one) => [
          Math.round(one.getBoundingClientRect().width),
          Math.max(0, one.scrollWidth - one.clientWidth),
        ])"""
    )


def test_a_column_is_as_wide_as_the_cell(lab: Lab) -> None:
    column = cell(lab, VBOX)
    width = column.locator(".widget-vbox").bounding_box()["width"]  # type: ignore[index]
    measured = sizes(column)
    assert len(measured) == len(WIDGETS)
    for wide, outside in measured:
        assert width - 8 <= wide <= width
        assert outside == 0


def test_two_in_a_row_share_its_width(lab: Lab) -> None:
    rows = cell(lab, HBOX)
    width = rows.locator(".widget-hbox").first.bounding_box()["width"]  # type: ignore[index]
    measured = sizes(rows)
    assert len(measured) == 2 * len(WIDGETS)
    for wide, outside in measured:
        assert width / 2 - 8 <= wide <= width / 2
        assert outside == 0
    lab.screenshot("layouts-row")


def test_beside_a_button_it_takes_the_rest(lab: Lab) -> None:
    row = cell(lab, BESIDE)
    width = row.locator(".widget-hbox").bounding_box()["width"]  # type: ignore[index]
    [(wide, outside)] = sizes(row)
    assert width - 170 <= wide <= width - 148
    assert outside == 0


@pytest.mark.parametrize(
    ("number", "kind", "edges"), [(TAB, "tab", 48), (ACCORDION, "accordion", 60)]
)
def test_every_page_of_a_box_shows_its_widget_in_full_width(
    lab: Lab, number: int, kind: str, edges: int
) -> None:
    box = cell(lab, number)
    width = box.locator(f".widget-{kind}").bounding_box()["width"]  # type: ignore[index]
    for page, name in enumerate(WIDGETS):
        lab.python(f"{kind}.selected_index = {page}")
        lab.page.wait_for_timeout(400)
        [(wide, outside)] = sizes(box)
        assert width - edges <= wide <= width, name
        assert outside == 0, name


def test_an_output_is_like_a_cell(lab: Lab) -> None:
    output = cell(lab, OUTPUT)
    width = output.locator(".jp-OutputArea").first.bounding_box()["width"]  # type: ignore[index]
    measured = sizes(output)
    assert len(measured) == len(WIDGETS)
    for wide, outside in measured:
        assert width - 160 <= wide <= width
        assert outside == 0


def test_columns_of_a_grid_are_filled_and_its_rows_scroll(lab: Lab) -> None:
    grid = cell(lab, GRID)
    box = grid.locator(".widget-gridbox").bounding_box()
    assert box is not None
    boxes = [one.bounding_box() for one in grid.locator(".vaw").all()]
    assert len(boxes) == len(WIDGETS)
    for one in boxes:
        assert one is not None
        assert box["width"] / 2 - 24 <= one["width"] <= box["width"] / 2
    assert round(box["height"]) == 1200
    inside = grid.locator(".widget-gridbox")
    assert inside.evaluate("(it) => getComputedStyle(it).overflowY") == "auto"
    assert [outside for _, outside in sizes(grid)] == [0] * len(WIDGETS)
    lab.screenshot("layouts-grid")


def test_a_size_that_is_given_is_kept(lab: Lab) -> None:
    given = cell(lab, GIVEN)
    boxes = [one.bounding_box() for one in given.locator(".vaw").all()]
    assert len(boxes) == len(WIDGETS)
    for one in boxes:
        assert one is not None
        assert round(one["width"]) == 444
        assert one["height"] <= 300.5
    scrolls = given.locator(".vaw").evaluate_all(
        "(all) => all.filter((one) => one.scrollHeight > one.clientHeight"
        " && getComputedStyle(one).overflowY !== 'auto').length"
    )
    assert scrolls == 0


def test_nothing_went_wrong(lab: Lab) -> None:
    """anywidget warns after two seconds; sixty widgets at once may take longer."""
    slow = "[anywidget] Failed to initialize model."
    assert [error for error in lab.errors if error != slow] == []
