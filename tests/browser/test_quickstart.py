"""The quickstart, as a person uses it: run all, click a patch, scrub, prune, read it in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.notebooks import check_ran

from .jupyterlab import ARTIFACTS, Host, Lab
from .texts import PIXELS, beginning, check_repainted

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
EXPLORER = ".jp-OutputArea .vaw-explorer"
ROOT = ".jp-OutputArea .vaw-root"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(host: Host) -> Iterator[Lab]:
    with host.opened(NOTEBOOK) as lab:
        lab.run_all()
        lab.page.evaluate("document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
        lab.page.wait_for_selector(f"{EXPLORER} [data-testid=patch-canvas]", timeout=60_000)
        lab.python("explorer.wait()")
        yield lab


def test_no_cell_failed(lab: Lab) -> None:
    check_ran(lab.notebook())


def test_click_selects_a_patch(lab: Lab) -> None:
    canvas = lab.page.locator(f"{EXPLORER} [data-testid=patch-canvas]").first
    canvas.scroll_into_view_if_needed()
    before = canvas.evaluate(PIXELS)
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.55})
    assert lab.until("print(explorer.selected_token)", "53") == "53"  # 1 + 5 * 10 + 2
    lab.page.mouse.move(5, 5)
    check_repainted(canvas, before)


def test_click_paints_without_the_kernel(lab: Lab) -> None:
    """A click on a cached layer has repainted the canvas when its event ends, without a frame lost.

    The times from the event to the painted canvas are kept beside the screenshots.
    """
    script = """async (canvas) => {
      const times = [];
      for (let i = 0; i < 12; i++) {
        const box = canvas.getBoundingClientRect();
        const at = { clientX: box.left + (box.width * ((i % 9) + 0.5)) / 10,
                     clientY: box.top + (box.height * (i + 0.5)) / 14,
                     bubbles: true, pointerId: 1 };
        const before = canvas.toDataURL();
        const start = performance.now();
        canvas.dispatchEvent(new PointerEvent("pointermove", at));
        canvas.dispatchEvent(new PointerEvent("pointerdown", at));
        canvas.dispatchEvent(new PointerEvent("pointerup", at));
        const spent = performance.now() - start;
        if (canvas.toDataURL() === before) return null;
        times.push(spent);
        await new Promise(requestAnimationFrame);
      }
      return times;
    }"""
    canvas = lab.page.locator(f"{EXPLORER} [data-testid=patch-canvas]").first
    times = canvas.evaluate(script)
    assert times is not None, "a click left the picture as it was until the kernel answered"
    figures = {"median_ms": sorted(times)[len(times) // 2], "most_ms": max(times)}
    print("click to painted canvas:", figures)
    (ARTIFACTS / "click-to-paint.json").write_text(json.dumps(figures))
    lab.page.mouse.move(5, 5)


def test_a_head_under_the_pointer_is_shown_on_the_picture_and_a_click_keeps_it(lab: Lab) -> None:
    says = lab.page.locator(f"{EXPLORER} [data-testid=picture-says]").first
    head = lab.page.locator(f"{EXPLORER} [data-testid=head-2-1]").first
    lab.page.locator(f"{EXPLORER} [data-testid=overlay]").first.get_by_text("why").click()
    assert lab.until("print(explorer.overlay)", "explanation") == "explanation"
    expect(says).to_have_text(beginning("what speaks for"))
    head.hover()
    expect(says).to_contain_text("layer 2, head 1")
    lab.page.mouse.move(5, 5)
    expect(says).to_have_text(beginning("what speaks for"))
    head.click()
    lab.page.mouse.move(5, 5)
    expect(says).to_contain_text("layer 2, head 1")
    assert lab.until("print(explorer.overlay)", "attention") == "attention"


def test_the_picture_stays_in_sight_while_the_page_scrolls(lab: Lab) -> None:
    canvas = lab.page.locator(f"{EXPLORER} [data-testid=patch-canvas]").first
    lab.page.locator(f"{EXPLORER} [data-testid=view-strength]").first.click()
    place = lab.page.locator(f"{EXPLORER} [data-testid=panel-strength]").first
    place.evaluate("(element) => element.scrollIntoView({block: 'end'})")
    lab.page.wait_for_timeout(200)
    box = canvas.bounding_box()
    height = lab.page.viewport_size["height"]
    assert box is not None
    assert 0 < box["y"] < height / 2
    lab.page.locator(f"{EXPLORER} [data-testid=usual-layout]").first.click()
    lab.page.locator(EXPLORER).first.evaluate("(element) => element.scrollIntoView()")


def test_heads_stay_where_they_are_while_several_are_chosen(lab: Lab) -> None:
    head = lab.page.locator(f"{EXPLORER} [data-testid=head-0-0]").first
    before = head.bounding_box()
    to = lab.page.locator(f"{EXPLORER} [data-testid=head-3-2]").first.bounding_box()
    assert before is not None
    assert to is not None
    lab.page.mouse.move(before["x"] + 20, before["y"] + 40)
    lab.page.mouse.down()
    lab.page.mouse.move(to["x"] + 20, to["y"] + 40, steps=12)
    lab.page.mouse.up()
    assert head.bounding_box() == before
    chosen = lab.page.locator(f"{EXPLORER} [data-testid=prune-brushed]").first
    expect(chosen).to_have_text("prune 12 heads")
    chosen.click()
    assert head.bounding_box() == before
    undo = lab.page.locator(".jp-OutputArea [data-testid=undo]").first  # in the widget's head
    undo.dispatch_event("click")  # without scrolling there
    assert lab.until("print(explorer.pruned_heads)", "[]") == "[]"
    assert head.bounding_box() == before
    lab.python("explorer.wait()")


def test_scrub_a_layer(lab: Lab) -> None:
    slider = lab.page.locator(f"{EXPLORER} [data-testid=layer-slider]").first
    slider.fill("2")
    assert lab.until("print(explorer.selected_layer)", "2") == "2"
    frame = lab.page.locator(f"{EXPLORER} [data-testid=frame-4]").first
    frame.click()
    assert lab.until("print(explorer.selected_layer)", "4") == "4"


def test_prune_a_head_and_read_the_decision(lab: Lab) -> None:
    before = json.loads(lab.python("import json; print(json.dumps(explorer.top5))"))
    layer, head = json.loads(
        lab.python(
            "i = int(np.nanargmax(explorer.importance));"
            "print(json.dumps(divmod(i, explorer.importance.shape[1])))"
        )
    )
    lab.page.locator(f"{EXPLORER} [data-testid=head-{layer}-{head}]").first.hover()
    lab.page.locator(f"{EXPLORER} [data-testid=prune-{layer}-{head}]").first.click()
    expected = f"[({layer}, {head})]"
    assert lab.until("print(explorer.pruned_heads)", expected) == expected
    lab.python("explorer.wait()")
    after = json.loads(lab.python("print(json.dumps(explorer.top5))"))
    assert dict(map(tuple, after)) != dict(map(tuple, before))
    headline = lab.page.locator(f"{EXPLORER} [data-testid=headline]").first
    headline.get_by_text("(was").wait_for()
    first = lab.page.locator(f"{EXPLORER} [data-testid=decision] tbody tr").first
    expect(first).to_contain_text(after[0][0])  # what is now comes first
    lab.screenshot("quickstart-pruned", EXPLORER)


def test_undo_by_key(lab: Lab) -> None:
    lab.page.locator(f"{EXPLORER} [data-testid=heads-canvas]").first.hover(force=True)
    lab.page.locator(f"{EXPLORER} [role=gridcell][tabindex='0']").first.focus()
    lab.page.keyboard.press("z")
    assert lab.until("print(explorer.pruned_heads)", "[]") == "[]"


def test_backup_heads_are_found_and_tried(lab: Lab) -> None:
    lab.page.locator(f"{EXPLORER} [data-testid=view-changes]").first.click()
    lab.page.locator(f"{EXPLORER} [data-testid=find-backups]").first.click()
    assert lab.until("print(explorer._interactions.get('asks'))", "False") == "False"
    lab.python("import json; best = explorer.session.interactions.backups(1)[0]")
    gone, backup = json.loads(lab.python("print(json.dumps([best.gone, best.backup]))"))
    pair = lab.page.locator(f"{EXPLORER} [data-testid=backups] button").first
    without = f"without layer {gone[0]}, head {gone[1]}: layer {backup[0]}, head {backup[1]},"
    expect(pair).to_have_text(beginning(without))
    pair.click()
    expected = str([tuple(gone)])
    assert lab.until("print(explorer.pruned_heads)", expected) == expected
    lab.page.locator(f"{EXPLORER} [data-testid=view-changes]").first.click()
    lab.python("explorer.pruned_heads = []; explorer.wait()")


def test_panels_are_arranged_from_both_sides(lab: Lab) -> None:
    usual = "['picture', 'decision', 'heads', 'film']"
    assert lab.python("print(explorer.panels)") == usual
    lab.page.locator(f"{EXPLORER} [data-testid=view-strength]").first.click()
    expected = f"{usual[:-1]}, 'strength']"
    assert lab.until("print(explorer.panels)", expected) == expected
    lab.page.locator(f"{EXPLORER} [data-testid=entropy-by-layer]").first.wait_for()
    lab.python("explorer.panels = ['heads', 'picture']")
    lab.page.locator(f"{EXPLORER} [data-panel=film]").first.wait_for(state="detached")
    lab.page.locator(f"{EXPLORER} [data-testid=usual-layout]").first.click()
    assert lab.until("print(explorer.panels)", usual) == usual


def test_a_tour_is_read_done_and_left(lab: Lab) -> None:
    lab.python("explorer.pruned_heads = []; explorer.wait()")
    lab.page.locator(f"{EXPLORER} [data-testid=tour-begin]").first.click()
    card = lab.page.locator(f"{EXPLORER} [data-testid=tour]").first
    answer = lab.page.locator(f"{EXPLORER} [data-testid=tour-answer]").first
    expect(card).to_contain_text("100 patches")
    expect(answer).to_have_text("")
    lab.page.locator(f"{EXPLORER} [data-testid=patch-canvas]").first.click(
        position={"x": 40, "y": 40}
    )
    expect(answer).to_contain_text("attends to")
    lab.screenshot("quickstart-tour", EXPLORER)
    card.press("ArrowRight")
    card.press("ArrowRight")
    expect(card).to_contain_text("Which heads matter")
    card.press("ArrowRight")
    card.press("ArrowRight")
    expect(card).to_contain_text("Press × on layer")
    best = "i = int(np.nanargmax(explorer.importance)); print(*divmod(i, 4), sep='-')"
    name = lab.python(best)
    lab.page.locator(f"{EXPLORER} [data-testid=head-{name}]").first.hover()
    lab.page.locator(f"{EXPLORER} [data-testid=prune-{name}]").first.click()
    answer.get_by_text("Before:").wait_for()
    assert lab.until("print(len(explorer.pruned_heads))", "1") == "1"
    lab.page.locator(f"{EXPLORER} [data-testid=tour-leave]").first.click()
    assert lab.until("print(explorer.tour_step)", "-1") == "-1"
    expect(card).to_have_count(0)
    lab.python("explorer.pruned_heads = []; explorer.wait()")


SLOW = """
import time
from vit_attention_widget.importance import head_ablation
without = head_ablation._without
def slowly(*given):
    time.sleep(0.8)
    return without(*given)
head_ablation._without = slowly
"""


def test_what_is_cancelled_goes_on(lab: Lab) -> None:
    lab.python(SLOW)
    lab.python("explorer.session.look_at(image=vaw.demo.scene(seed=9).image)")
    known = "print(2 < np.isfinite(explorer.importance).sum() < 20)"
    assert lab.until(known, "True") == "True"
    lab.page.locator(f"{ROOT} [data-testid=cancel]").first.click()
    go_on = lab.page.locator(f"{ROOT} [data-testid=go-on]").first
    go_on.wait_for()
    status = lab.page.locator(f"{ROOT} [data-state=paused]").first
    count = lab.python("print(np.isfinite(explorer.importance).sum())")
    expect(status).to_contain_text(f"cancelled: {count} of 24 heads")
    lab.screenshot("quickstart-cancelled", EXPLORER)
    lab.python("head_ablation._without = without")
    go_on.click()
    assert lab.until("print(np.isfinite(explorer.importance).sum())", "24") == "24"
    status.wait_for(state="detached")


def test_error_stands_in_the_cell_and_the_widget_lives(lab: Lab) -> None:
    lab.python("explorer.send_state()")
    told = lab.python("explorer.target = 'heat'")
    assert "near to it: 'heart'" in told
    assert lab.python("explorer.target = 'star'; print(explorer.wait())") == "True"
    lab.page.locator(f"{EXPLORER} [data-testid=class-picker]").first.wait_for()
    expect(lab.page.locator(f"{EXPLORER} [data-testid=class-picker]").first).to_have_value("star")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_themes(lab: Lab, theme: str) -> None:
    lab.theme(theme)
    path = lab.screenshot(f"quickstart-{theme.split()[-1].lower()}", EXPLORER)
    assert path.stat().st_size > 20_000


def test_nothing_went_wrong_and_nothing_left_the_machine(lab: Lab) -> None:
    assert lab.errors == []
    assert lab.foreign == []
