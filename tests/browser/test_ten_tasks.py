"""Ten things that a stranger asks, each answered within three actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from .jupyterlab import Host, Lab, written
from .texts import beginning, ending

CELL = """\
import numpy as np
import vit_attention_widget as vaw
scene = vaw.demo.two_objects(208, ("heart", "star"))
explorer = vaw.Explorer(vaw.demo.load_model(), scene.image)
explorer.wait()
explorer"""

pytestmark = pytest.mark.browser


@dataclass
class Hands:
    """What a person does with the Explorer, counted."""

    lab: Lab
    actions: int = 0

    def see(self, testid: str) -> Locator:
        return self.lab.page.locator(f".jp-OutputArea .vaw-root [data-testid={testid}]").first

    def click(self, testid: str, text: str = "", x: float = 0.5, y: float = 0.5) -> None:
        self.actions += 1
        place = self.see(testid)
        if text:
            place.get_by_text(text, exact=True).click()
            return
        box = place.bounding_box()
        assert box is not None
        place.click(position={"x": x * box["width"], "y": y * box["height"]})

    def hover(self, testid: str) -> None:
        self.actions += 1
        self.see(testid).hover()

    def write(self, text: str) -> None:
        self.actions += 1
        self.lab.page.keyboard.type(text)

    def press(self, key: str) -> None:
        self.actions += 1
        self.lab.page.keyboard.press(key)


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written([CELL], tmp_path_factory)) as lab:
        lab.run_all()
        lab.page.locator(".jp-OutputArea [data-testid=headline]").first.wait_for()
        yield lab
        assert lab.errors == []


@pytest.fixture
def hands(lab: Lab) -> Iterator[Hands]:
    hands = Hands(lab)
    yield hands
    assert hands.actions <= 3
    lab.page.mouse.move(5, 5)
    lab.python("explorer.pruned_heads = []; explorer.target = None; explorer.wait()")


def test_what_does_it_say_this_is(hands: Hands) -> None:
    expect(hands.see("headline")).to_have_text(beginning("heart 9"))


def test_what_in_the_picture_speaks_for_that(hands: Hands) -> None:
    expect(hands.see("picture-says")).to_have_text(beginning("what speaks for heart"))


def test_and_where_would_it_see_a_star(hands: Hands) -> None:
    hands.click("class-picker")
    hands.write("star")
    hands.press("Enter")
    hands.see("picture-says").get_by_text("what speaks for star").wait_for()
    assert hands.lab.until("print(explorer.decision['target_name'])", "star") == "star"


def test_what_does_this_patch_attend_to(hands: Hands) -> None:
    hands.click("patch-canvas", x=0.75, y=0.55)
    expect(hands.see("picture-says")).to_have_text(beginning("patch (5, 7) attends to"))


def test_and_who_attends_to_it(hands: Hands) -> None:
    hands.click("patch-canvas", x=0.75, y=0.55)
    hands.click("direction", "attended by")
    expect(hands.see("picture-says")).to_have_text(beginning("patch (5, 7) attended by"))
    hands.lab.python("explorer.direction = 'attends_to'")


def test_where_does_head_1_of_layer_4_look(hands: Hands) -> None:
    hands.hover("head-4-1")
    expect(hands.see("picture-says")).to_have_text(ending("layer 4, head 1"))


def test_which_head_matters_most(hands: Hands) -> None:
    best = "i = int(np.nanargmax(explorer.importance)); print(*divmod(i, 4), sep='-')"
    layer, head = hands.lab.python(best).split("-")
    hands.click("head-view", "ranked")
    hands.click("head-chart", x=0.115)
    expect(hands.see("readout")).to_contain_text(f"layer {layer}, head {head},")
    expect(hands.see("readout")).to_contain_text("first of 24")
    hands.click("head-view", "grid")


def test_would_it_still_say_heart_without_it(hands: Hands) -> None:
    hands.hover("head-3-2")
    hands.click("prune-3-2")
    hands.see("headline").get_by_text("(was").wait_for()
    expect(hands.see("headline")).to_have_text("star 89 % (was heart 93 %)")
    hands.click("undo")
    assert hands.lab.until("print(explorer.pruned_heads)", "[]") == "[]"


def test_at_which_layer_does_it_make_up_its_mind(hands: Hands) -> None:
    hands.click("view-by_layer")
    hands.see("by-layer-says").get_by_text("heart").wait_for()
    hands.click("view-by_layer")


def test_which_map_is_to_be_trusted(hands: Hands) -> None:
    hands.click("score-map")
    hands.see("faithful-says").wait_for(timeout=60_000)
    expect(hands.see("faithful-says")).not_to_be_empty()
