"""Widgets that come and go in JupyterLab: what they leave in the kernel and on the page.
Interrupts, and training beside a widget.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import CDPSession

from .jupyterlab import APP, KERNEL, Host, Lab, written

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    """
import collections, gc, json, threading
import ipywidgets, torch
import vit_attention_widget as vaw
scene = vaw.demo.scene(seed=1).image
""",
    "explorer = vaw.Explorer(vaw.demo.load_model(), scene)\nexplorer",
]
HELD = """
gc.collect()
kinds = collections.Counter(map(type, gc.get_objects()))

def held(kind):
    return sum(count for each, count in kinds.items() if issubclass(each, kind))

print(json.dumps({
    "threads": sum(t.name.startswith("vaw-") for t in threading.enumerate()),
    "sessions": held(vaw.Session),
    "layouts": kinds[ipywidgets.Layout],
    "widgets": held(vaw.Explorer),
    "models": kinds[type(explorer.session.model)],
}))
"""
"""What there is in the kernel."""


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.run_all(200)
        lab.page.locator(".vaw-root [data-testid=heads-canvas]").first.wait_for()
        yield lab


@pytest.fixture(scope="module")
def devtools(lab: Lab) -> CDPSession:
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("HeapProfiler.enable")
    return session


def heap(lab: Lab, devtools: CDPSession) -> float:
    """The page's JavaScript heap in MB, after garbage was collected."""
    for _ in range(3):
        lab.page.wait_for_timeout(500)
        devtools.send("HeapProfiler.collectGarbage")
    used = devtools.send("Runtime.getHeapUsage")
    return float(used["usedSize"]) / 1e6


def held(lab: Lab) -> dict[str, Any]:
    return dict(json.loads(lab.python(HELD)))


def held_at_last(lab: Lab, expected: dict[str, Any]) -> dict[str, Any]:
    """What is held once the page has told what it shows no more."""
    end = time.monotonic() + 30
    while (now := held(lab)) != expected and time.monotonic() < end:
        lab.page.wait_for_timeout(200)
    return now


def run_again(lab: Lab) -> None:
    lab.page.evaluate(
        f"""() => {{
          const {{ content }} = {APP}.shell.currentWidget;
          content.activeCellIndex = 1;
          content.deselectAll();
          return {APP}.commands.execute('notebook:run-cell');
        }}"""
    )
    lab.wait_idle()
    assert lab.python("print(explorer.wait(60))") == "True"
    lab.page.wait_for_timeout(100)


def test_a_cell_that_is_run_twenty_times_keeps_one_widget(lab: Lab, devtools: CDPSession) -> None:
    run_again(lab)
    before, heap_before = held(lab), heap(lab, devtools)
    assert before["widgets"] == before["sessions"] == before["models"] == 1
    for _ in range(20):
        run_again(lab)
    grown = heap(lab, devtools) - heap_before
    print(f"page after 20 runs: {grown:+.1f} MB")
    assert held_at_last(lab, before) == before
    assert grown < 5


def test_a_hundred_widgets_that_were_closed_leave_nothing(lab: Lab, devtools: CDPSession) -> None:
    make = (
        "made = vaw.Explorer(vaw.demo.load_model(), scene); made.wait(60); made.close(); del made"
    )
    lab.python(make)
    before, heap_before = held(lab), heap(lab, devtools)
    for _ in range(10):
        lab.python(f"for _ in range(10):\n    {make}")
    grown = heap(lab, devtools) - heap_before
    print(f"page after 100 widgets: {grown:+.1f} MB")
    assert held_at_last(lab, before) == before
    assert grown < 5


def test_an_interrupt_ends_the_wait_and_not_the_work(lab: Lab) -> None:
    lab.python("explorer.session.draw_curve('greedy')")
    lab.page.evaluate(f"() => {{ {KERNEL}.requestExecute({{ code: 'explorer.wait()' }}); }}")
    lab.page.wait_for_timeout(300)
    lab.page.evaluate(f"() => {KERNEL}.interrupt()")
    lab.wait_idle()
    assert lab.python("print(explorer.wait(120), explorer.status['error'])") == "True None"


TRAIN = """
model = explorer.session.model.train()
for module in model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.5
optimizer = torch.optim.SGD(model.parameters(), 1e-4)
images, wrong, modes = torch.randn(2, 3, 80, 80), 0, [m.training for m in model.modules()]
for step in range(40):
    explorer.session.selected_token = step
    explorer.session.pruned_heads = [(step % 3, 0)]
    loss = model(images).square().mean()
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    wrong += [m.training for m in model.modules()] != modes
print(wrong, all(modes), explorer.wait(60), explorer.status["state"])
"""


def test_training_beside_a_widget_stays_training(lab: Lab) -> None:
    assert lab.python(TRAIN).startswith("0 True True")
    assert (
        lab.python("model.eval(); explorer.selected_layer = 0; print(explorer.wait(60))") == "True"
    )
