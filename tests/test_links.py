"""Traits are those of ipywidgets: observed, linked to others' controls, driven by interact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest
import traitlets

import vit_attention_widget as vaw
from vit_attention_widget.session.traits import SELECTIONS

PUBLIC = [name for name in SELECTIONS if not name.startswith("_")]


@pytest.fixture(scope="module")
def explorer() -> Iterator[vaw.Explorer]:
    made = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    made.wait()
    yield made
    made.close()


@pytest.mark.parametrize("name", PUBLIC)
def test_every_selection_may_be_linked_in_the_browser(explorer: vaw.Explorer, name: str) -> None:
    """Which takes only what is synchronized."""
    other = ipywidgets.Text()
    assert ipywidgets.jslink((explorer, name), (other, "value")).source == (explorer, name)
    assert ipywidgets.jsdlink((other, "value"), (explorer, name)).target == (explorer, name)


def test_a_slider_is_linked_both_ways(explorer: vaw.Explorer) -> None:
    slider = ipywidgets.IntSlider(max=5)
    link = traitlets.link((explorer, "selected_layer"), (slider, "value"))
    slider.value = 2
    assert explorer.selected_layer == explorer.session.selected_layer == 2
    explorer.session.selected_layer = 4
    assert slider.value == 4
    link.unlink()
    slider.value = 0
    assert explorer.selected_layer == 4


def _likely(decision: Any) -> str:
    now, before = decision["target_after"], decision["target_before"]
    return f"{100 * (before if now is None else now):.0f} %"


def test_a_label_follows_through_a_function(explorer: vaw.Explorer) -> None:
    """One way, from a result that only Python sets."""
    label = ipywidgets.Label()
    traitlets.dlink((explorer, "decision"), (label, "value"), _likely)
    before = label.value
    assert before == "96 %"
    explorer.pruned_heads = {layer: [0, 1, 2] for layer in range(6)}
    explorer.wait()
    assert label.value != before
    explorer.pruned_heads = []
    explorer.wait()
    assert label.value == before


def test_interact_drives_it(explorer: vaw.Explorer) -> None:
    def look(layer: int, method: str, pruned: bool) -> None:
        explorer.selected_layer, explorer.method = layer, method
        explorer.pruned_heads = [(layer, 0)] if pruned else []

    controls: Any = ipywidgets.interactive(
        look, layer=(0, 5), method=["daam", "rollout"], pruned=False
    )
    layer, method, pruned = controls.children[:3]
    layer.value, method.value, pruned.value = 3, "rollout", True
    explorer.wait()
    assert (explorer.selected_layer, explorer.method) == (3, "rollout")
    assert explorer.pruned_heads == [(3, 0)]
    pruned.value = False
    explorer.wait()


def test_observers_are_told_of_selections_and_results_once(explorer: vaw.Explorer) -> None:
    changes: list[Any] = []
    explorer.observe(changes.append, ["selected_token", "decision"])
    explorer.selected_token = 7
    assert [(c.name, c.owner is explorer, c.new) for c in changes] == [("selected_token", True, 7)]
    explorer.pruned_heads = [(5, 3)]
    explorer.wait()
    assert [c.name for c in changes[1:]] == ["decision"]
    explorer.unobserve(changes.append, ["selected_token", "decision"])
