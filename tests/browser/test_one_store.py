"""Two views of one widget in JupyterLab: they share what they hold, and ask the kernel once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .jupyterlab import Host, Lab, written

pytestmark = pytest.mark.browser

CELLS = [
    """
import collections
import vit_attention_widget as vaw

explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
requests = collections.Counter()
explorer.on_msg(lambda _, content, buffers: requests.update([content.get("method")]))
explorer.wait()
explorer
""",
    "explorer",
    "grid = vaw.HeadImportanceGrid(session=explorer.session)\ngrid",
]


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.page.set_viewport_size({"width": 1280, "height": 2400})
        lab.run_all(200)
        view(lab, 1).locator("[data-testid=heads-canvas]").wait_for(timeout=30_000)
        yield lab


def view(lab: Lab, number: int):  # type: ignore[no-untyped-def]
    return lab.page.locator(".jp-OutputArea .vaw-root").nth(number)


def test_each_layer_is_sent_once(lab: Lab) -> None:
    layers = lab.python("print(explorer._model_info['num_layers'])")
    assert layers == "6"
    assert lab.until("print(requests['attention'])", layers) == layers
    lab.page.wait_for_timeout(1000)
    assert lab.python("print(requests['attention'])") == layers


def test_one_view_undoes_what_was_done_in_another(lab: Lab) -> None:
    view(lab, 0).locator("[data-testid=prune-3-1]").click()
    assert lab.until("print(explorer.pruned_heads)", "[(3, 1)]") == "[(3, 1)]"
    view(lab, 1).locator("[data-testid=undo]").click()
    assert lab.until("print(explorer.pruned_heads)", "[]") == "[]"
    lab.screenshot("one-store")


def test_a_linked_widget_undoes_too(lab: Lab) -> None:
    explorer, grid = view(lab, 0), view(lab, 2)
    for head, pruned in (("2-0", "[(2, 0)]"), ("4-3", "[(2, 0), (4, 3)]")):
        explorer.locator(f"[data-testid=prune-{head}]").click()
        assert lab.until("print(explorer.pruned_heads)", pruned) == pruned
    undo, redo = (grid.locator(f"[data-testid={name}]") for name in ("undo", "redo"))
    undo.click()
    assert lab.until("print(explorer.pruned_heads)", "[(2, 0)]") == "[(2, 0)]"
    undo.click()
    undo.and_(grid.locator(":disabled")).wait_for(timeout=10_000)
    assert lab.until("print(explorer.pruned_heads)", "[]") == "[]"
    assert lab.python("print(explorer.session.redo(), grid.pruned_heads)") == "True [(2, 0)]"
    redo.click()
    assert lab.until("print(explorer.pruned_heads)", "[(2, 0), (4, 3)]") == "[(2, 0), (4, 3)]"
    explorer.locator("[data-testid=redo]").and_(explorer.locator(":disabled")).wait_for()
    lab.screenshot("linked-undo")


def test_nothing_went_wrong(lab: Lab) -> None:
    assert lab.errors == []
