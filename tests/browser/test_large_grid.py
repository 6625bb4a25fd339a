"""The grid of a large model, 40 layers of 24 heads: all at once, zoomed and scrolled inside."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from playwright.sync_api import Browser, Locator, Page, expect

import vit_attention_widget as vaw

pytestmark = pytest.mark.browser

LAYERS, HEADS = 40, 24


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a model with as many layers and heads as a ViT-g, and all else small."""
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=96, depth=LAYERS, num_heads=HEADS, embed_dim=48
    ).eval()
    session = vaw.Session(model, vaw.demo.scene(seed=1).image)
    while not session._maps:
        time.sleep(0.02)
    session.cancel()  # how much each head matters is not asked here
    session.wait()
    path = tmp_path_factory.mktemp("large") / "page.html"
    vaw.Explorer(session=session).to_html(path)
    session.close()
    return path


@pytest.fixture(scope="module")
def opened(chromium: Browser, file: Path) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 980, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(file.as_uri())
    page.locator("[data-testid=headline]").wait_for()
    yield page
    context.close()


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    yield opened
    if opened.locator("[data-testid=heads-all]").is_enabled():
        opened.click("[data-testid=heads-all]")
    assert is_whole(opened)


def view(page: Page) -> Locator:
    return page.locator("[data-testid=heads-view]")


def is_whole(page: Page) -> bool:
    """Whether nothing of the grid is out of view."""
    fits = "e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight"
    return bool(view(page).evaluate(fits))


def head(page: Page, layer: int, number: int) -> Locator:
    return page.locator(f"[data-testid=head-{layer}-{number}]")


def box(locator: Locator) -> tuple[float, float, float, float]:
    place = locator.bounding_box()
    assert place is not None
    return place["x"], place["y"], place["width"], place["height"]


def test_all_heads_stand_in_their_panel_at_first(page: Page) -> None:
    expect(page.get_by_role("gridcell")).to_have_count(LAYERS * HEADS)
    assert is_whole(page)
    canvas, stage = box(page.locator("[data-testid=heads-canvas]")), box(view(page))
    assert canvas == pytest.approx(stage, abs=1)


def test_zoom_keeps_the_view_and_draws_what_is_in_it(page: Page) -> None:
    before = box(view(page))
    for _ in range(4):
        page.click("[data-testid=heads-larger]")
    assert box(view(page)) == pytest.approx(before, abs=1)  # nothing below moves
    assert page.get_by_role("gridcell").count() < LAYERS * HEADS / 2
    x, y, width, height = box(page.locator("[data-testid=heads-canvas]"))
    assert x <= before[0] + 22
    assert y <= before[1] + 18
    assert x + width >= before[0] + before[2]
    assert y + height >= before[1] + before[3]
    assert width * height < 9 * before[2] * before[3]  # and not the whole grid
    page.keyboard.press("0")
    assert is_whole(page)


def test_what_is_under_the_wheel_stays_there(page: Page) -> None:
    x, y, width, height = box(head(page, 30, 18))
    page.mouse.move(x + width / 2, y + height / 2)
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function(
        "() => document.querySelector('.vaw').shadowRoot"
        ".querySelector('[data-testid=head-30-18]').getBoundingClientRect().width > 40"
    )
    nx, ny, nwidth, nheight = box(head(page, 30, 18))
    assert math.dist((nx + nwidth / 2, ny + nheight / 2), (x + width / 2, y + height / 2)) < 10
    assert page.evaluate("visualViewport.scale") == 1


def test_keys_zoom_and_walk_to_heads_that_are_out_of_view(page: Page) -> None:
    head(page, 0, 0).focus()
    for _ in range(5):
        page.keyboard.press("+")
    page.keyboard.press("End")
    last = head(page, LAYERS - 1, 0)
    last.and_(page.locator(":focus")).wait_for()
    x, _, width, _ = box(last)
    left, _, room, _ = box(view(page))
    assert left <= x
    assert x + width <= left + room + 1


def test_one_finger_scrolls_what_is_zoomed(page: Page) -> None:
    page.click("[data-testid=heads-larger]")
    assert view(page).evaluate("e => getComputedStyle(e).touchAction") == "auto"


@pytest.mark.parametrize("viewport", [656, 980])
def test_zoom_is_remembered(page: Page, viewport: int) -> None:
    """Also where the view is as wide as it is taken to be until it is measured."""
    page.set_viewport_size({"width": viewport, "height": 900})
    if viewport == 656:
        assert view(page).evaluate("e => e.clientWidth") == 640
    for _ in range(3):
        page.click("[data-testid=heads-larger]")
    view(page).evaluate("e => { e.scrollLeft = 300 }")
    page.wait_for_timeout(50)
    width = box(head(page, 12, 12))[2]
    page.click("[data-testid=close-heads]")
    page.click("[data-testid=view-heads]")
    assert box(head(page, 12, 12))[2] == pytest.approx(width)
    assert view(page).evaluate("e => e.scrollLeft") == pytest.approx(300, abs=2)
