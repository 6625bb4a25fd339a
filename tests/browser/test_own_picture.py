"""One's own picture, the decision by layer and what pruning changed, in JupyterLab."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import expect

import vit_attention_widget as vaw

from .jupyterlab import Host, Lab, written
from .texts import beginning

pytestmark = pytest.mark.browser

CELLS = [
    """
import vit_attention_widget as vaw

explorer = vaw.Explorer(
    vaw.demo.load_model(),
    vaw.demo.two_objects(5, ("heart", "star")).image,
    panels=["picture", "decision", "heads", "changes", "by_layer"],
)
explorer.wait()
explorer
""",
    "inspector = vaw.AttentionInspector(session=explorer.session)\ninspector",
]

DROP = """(inside, [bytes, name]) => {
  const data = new DataTransfer();
  const file = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  data.items.add(new File([file], name, { type: "image/png" }));
  const heard = [];
  const hear = (event) => heard.push(event.type);
  for (const kind of ["dragover", "drop", "paste"]) document.addEventListener(kind, hear);
  for (const kind of ["dragover", "drop"]) {
    const options = { dataTransfer: data, bubbles: true, cancelable: true, composed: true };
    inside.dispatchEvent(new DragEvent(kind, options));
  }
  for (const kind of ["dragover", "drop", "paste"]) document.removeEventListener(kind, hear);
  return heard;
}"""


def scene(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(vaw.demo.scene(seed=seed).image).resize((640, 640)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.page.set_viewport_size({"width": 1280, "height": 3200})
        lab.run_all(200)
        find(lab, 0, "layer-lines").wait_for(timeout=30_000)
        yield lab


def find(lab: Lab, view: int, testid: str):  # type: ignore[no-untyped-def]
    root = lab.page.locator(".jp-OutputArea .vaw-root").nth(view)
    return root.locator(f"[data-testid={testid}]").first


def test_the_decision_by_layer_is_that_of_the_model(lab: Lab) -> None:
    decided = lab.python("print(explorer.session.layer_decisions.best()[-1])")
    expect(find(lab, 0, "by-layer-says")).to_contain_text(decided)
    find(lab, 0, "layer-lines").hover(position={"x": 60, "y": 90})
    expect(find(lab, 0, "layer-values")).to_have_text(beginning("after layer 0"))
    expect(find(lab, 0, "picture-says")).to_contain_text("after layer 0")
    find(lab, 0, "patch-classes").hover(position={"x": 40, "y": 40})
    expect(find(lab, 0, "patch-says")).to_have_text(beginning("patch ("))


def test_heads_that_take_over_are_listed(lab: Lab) -> None:
    expect(find(lab, 0, "changes-nothing")).to_contain_text("Prune a head")
    find(lab, 0, "prune-2-0").click()
    find(lab, 0, "take-over").wait_for(timeout=30_000)
    before, after = (
        lab.python(f"print(round(float(explorer.session.{name}[1, 0]), 3))")
        for name in ("importance_before", "importance")
    )
    assert float(after) > 0.5 > 0.1 > float(before)
    first = find(lab, 0, "take-over").locator("button").first
    expect(first).to_have_text(f"layer 1, head 0, {float(before):.4f} → {float(after):.3f}")
    lab.screenshot("new-views")
    first.click()
    here = "print(explorer.selected_layer, explorer.selected_head)"
    assert lab.until(here, "1 0") == "1 0"
    find(lab, 0, "undo").click()  # back to the head that was chosen before, then to all heads
    find(lab, 0, "undo").click()
    find(lab, 0, "changes-nothing").wait_for(timeout=30_000)


def test_a_picture_is_brought_by_file(lab: Lab) -> None:
    file = {"name": "cat.png", "mimeType": "image/png", "buffer": scene(3)}
    find(lab, 0, "bring-file").set_input_files(files=[file])
    name = "print(explorer._model_info['image_name'])"
    assert lab.until(name, "cat.png") == "cat.png"
    find(lab, 1, "own-1").and_(lab.page.locator("[aria-pressed=true]")).wait_for(timeout=10_000)
    lab.python("explorer.wait()")
    find(lab, 0, "by-layer-says").wait_for()  # the kernel is ahead of the page
    assert lab.python("print(explorer.session.image.size)") == "(640, 640)"


def test_dropped_on_a_linked_widget_both_follow_and_the_host_hears_nothing(lab: Lab) -> None:
    data = base64.b64encode(scene(4)).decode()
    assert find(lab, 1, "patch-canvas").evaluate(DROP, [data, "dropped.png"]) == []
    name = "print(explorer._model_info['image_name'])"
    assert lab.until(name, "dropped.png") == "dropped.png"
    find(lab, 0, "own-2").and_(lab.page.locator("[aria-pressed=true]")).wait_for(timeout=10_000)
    lab.screenshot("own-picture")


def test_what_is_no_picture_is_refused_in_a_sentence(lab: Lab) -> None:
    file = {"name": "a.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
    find(lab, 0, "bring-file").set_input_files(files=[file])
    problem = find(lab, 0, "bring-problem")
    problem.wait_for(timeout=10_000)
    expect(problem).to_contain_text("is not a picture")


def test_one_gets_back_to_the_first(lab: Lab) -> None:
    find(lab, 0, "own-0").click()
    assert lab.until("print(explorer._brought['shown'])", "0") == "0"
    find(lab, 1, "own-0").and_(lab.page.locator("[aria-pressed=true]")).wait_for(timeout=10_000)


def test_nothing_went_wrong(lab: Lab) -> None:
    assert lab.errors == []
