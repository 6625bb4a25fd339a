"""What the metrics say is true: the most important head hurts when it goes, the least does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.importance.metrics import METRICS

FIRST = 920_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return vaw.demo.load_model()


@pytest.fixture(scope="module")
def scenes(model: nn.Module) -> list[tuple[Tensor, int]]:
    vit = vaw.describe(model)
    made = [vaw.demo.scene(seed=FIRST + i) for i in range(80)]
    return [(vit.prepare(scene.image)[0], scene.label) for scene in made]


@pytest.fixture(scope="module")
def importance(model: nn.Module, scenes: list[Any]) -> vaw.HeadImportance:
    return vaw.head_importance(model, scenes, metric=METRICS)


def probability(model: nn.Module, scenes: list[Any], heads: dict[int, list[int]]) -> float:
    images, labels = torch.stack([s for s, _ in scenes]), [label for _, label in scenes]
    with torch.no_grad(), vaw.masked_heads(model, heads):
        p = model(images).softmax(-1)
    return float(p[torch.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("metric", METRICS)
def test_on_the_bundled_model(
    model: nn.Module, scenes: list[Any], importance: vaw.HeadImportance, metric: str
) -> None:
    ranking = importance.ranking(metric)
    whole = probability(model, scenes, {})
    (most, head), (least, other) = ranking[0], ranking[-1]
    hurt = whole - probability(model, scenes, {most: [head]})
    spared = whole - probability(model, scenes, {least: [other]})
    assert hurt > 0.015
    assert abs(spared) < 0.015
    assert hurt > 3 * abs(spared)
    # and together: without the six least important ones more is left than without the six most
    half = scenes[::2]
    bottom = vaw.pruning_curve(model, half, order=ranking[::-1], steps=6).values[-1]
    top = vaw.pruning_curve(model, half, order=ranking, steps=6).values[-1]
    assert bottom > top + 0.1


def test_knowing_beats_chance(
    model: nn.Module, scenes: list[Any], importance: vaw.HeadImportance
) -> None:
    """Half of the heads removed: by the loss, greedily, and at random."""
    few, steps = scenes[:16], 12
    chance = [
        vaw.pruning_curve(model, few, order="random", seed=seed, steps=steps).values[-1]
        for seed in range(3)
    ]
    known = vaw.pruning_curve(model, few, order=importance, steps=steps).values[-1]
    greedy = vaw.pruning_curve(model, few, order="greedy", steps=steps).values[-1]
    assert greedy > known
    assert greedy > max(chance) + 0.2
