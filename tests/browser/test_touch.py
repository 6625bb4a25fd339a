"""On a phone a swipe over any view scrolls the page, and a tap chooses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

import vit_attention_widget as vaw

from .texts import beginning

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 412, 800
PANELS = ["picture", "decision", "heads", "film", "by_layer", "detail", "strength", "compare"]


class Finger:
    """Touches the screen as a hand does: the browser makes pointers and scrolling of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.session: CDPSession = page.context.new_cdp_session(page)

    def _send(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def down(self, x: float, y: float) -> None:
        self._send("touchStart", (x, y))

    def up(self) -> None:
        self._send("touchEnd")

    def move(self, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        for i in range(1, steps + 1):
            part = i / steps
            at = [a + part * (b - a) for a, b in zip(start, end, strict=True)]
            self._send("touchMove", (at[0], at[1]))
            self.page.wait_for_timeout(16)

    def tap(self, x: float, y: float) -> None:
        self.down(x, y)
        self.up()

    def swipe(self, x: float, y: float, by: float) -> None:
        self.down(x, y)
        self.move((x, y), (x, y + by))
        self.up()


@pytest.fixture(scope="module")
def phone(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path = tmp_path_factory.mktemp("touch") / "page.html"
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.two_objects(208, ("heart", "star")).image)
    session.wait()
    vaw.Explorer(session=session, panels=PANELS).to_html(path)
    session.close()
    context = chromium.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(path.as_uri())
    page.locator("[data-testid=headline]").wait_for()
    page.locator(".vaw-by-layer .vaw-chart svg").first.wait_for()
    yield page
    context.close()


@pytest.fixture
def finger(phone: Page) -> Finger:
    return Finger(phone)


def middle(page: Page, selector: str) -> tuple[float, float]:
    """The middle of what is in view of an element, once it stands in the middle of the page."""
    place = page.locator(selector).first
    place.evaluate("e => e.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(50)
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def state(page: Page) -> dict[str, object]:
    """What is chosen, as the page says it."""
    root = "document.querySelector('.vaw').shadowRoot"
    return dict(
        page.evaluate(
            f"""() => ({{
              says: {root}.querySelector('[data-testid=picture-says]').textContent,
              pruned: {root}.querySelectorAll('[aria-label$=pruned]').length,
              chosen: [...{root}.querySelectorAll('[aria-selected=true]')].map(
                e => e.dataset.testid),
            }})"""
        )
    )


VIEWS = [
    "[data-testid=patch-canvas]",
    "[data-testid=head-2-1]",
    "[data-testid=frame-3]",
    ".vaw-by-layer .vaw-chart svg",
    ".vaw-head-detail canvas",
    ".vaw-strength .vaw-chart svg",
    ".vaw-compare canvas",
    "[data-testid=headline]",
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_swipe_scrolls_and_chooses_nothing(phone: Page, finger: Finger, view: str) -> None:
    x, y = middle(phone, view)
    before, top = state(phone), phone.evaluate("scrollY")
    direction = -1 if top < 300 else 1
    finger.swipe(x, y, 150 * direction)
    phone.wait_for_timeout(250)
    assert abs(phone.evaluate("scrollY") - top) > 60, view
    assert state(phone) == before, view


def test_a_tap_chooses(phone: Page, finger: Finger) -> None:
    finger.tap(*middle(phone, "[data-testid=head-1-2]"))
    phone.locator("[data-testid=head-1-2].vaw-chosen").wait_for()
    finger.tap(*middle(phone, "[data-testid=frame-4]"))
    phone.locator("[data-testid=frame-4][aria-selected=true]").wait_for()
    finger.tap(*middle(phone, "[data-testid=patch-canvas]"))
    assert str(state(phone)["says"]).startswith("patch")


def test_a_held_finger_previews_and_chooses_several_heads(phone: Page, finger: Finger) -> None:
    said = state(phone)["says"]
    start = middle(phone, "[data-testid=head-1-0]")
    box = phone.locator("[data-testid=head-3-1]").bounding_box()
    assert box is not None
    end = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    top = phone.evaluate("scrollY")
    finger.down(*start)
    phone.wait_for_timeout(500)
    assert state(phone)["says"] != said  # the head that it rests on
    assert "layer 1, head 0" in str(state(phone)["says"])
    finger.move(start, end)
    finger.up()
    assert phone.evaluate("scrollY") == top
    prune = phone.locator("[data-testid=prune-brushed]")
    expect(prune).to_have_text("prune 6 heads")
    finger.tap(*middle(phone, "[data-testid=head-0-0]"))
    prune.wait_for(state="detached")


def test_a_held_finger_explains_a_button_and_does_not_press_it(phone: Page, finger: Finger) -> None:
    finger.down(*middle(phone, "[data-testid=tour-begin]"))
    tip = phone.locator(".vaw-tip")
    tip.wait_for()
    expect(tip).to_have_text(beginning("a short tour"))
    finger.up()
    expect(phone.locator("[data-testid=tour]")).to_have_count(0)
