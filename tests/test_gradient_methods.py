"""Methods that follow the gradient of a class, on trained models: they find it, and know which."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from test_real_weights import REAL, manifest, squeezed, vit_tiny
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers

NEW = ("relevance", "gradient_rollout", "gradcam", "attention_gradient")

needs_real = pytest.mark.skipif(
    not (REAL / "manifest.csv").is_file(),
    reason="needs the real weights and photographs of ../shared/real",
)


def share(heat: Tensor, mask: Tensor) -> float:
    """How much of a map lies on the mask."""
    return float((heat * mask).sum() / heat.sum().clamp_min(1e-12))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["relevance", "gradient_rollout"])
def test_the_bundled_model_turns_to_the_object_that_is_asked_for(method: str) -> None:
    """Two objects side by side: more of the map lies on the one whose class is explained.

    Seen here over 60 scenes: 80 and 82 %; attention times gradient 63 %, Grad-CAM 57 %, so these
    two are not held to it.
    """
    model = vaw.demo.load_model()
    right = []
    for seed in range(24):
        kinds = ("star", "ring") if seed % 2 else ("cross", "triangle")
        scene = vaw.demo.two_objects(seed, kinds)
        left = np.nonzero(scene.mask)[1].mean() < scene.mask.shape[1] / 2
        side = torch.zeros(10, 10)
        side[:, :5] = 1
        mine = side if left else 1 - side
        trace = vaw.trace(model, scene.image, kinds[0])
        first = explainers.METHODS[method](trace).final[0]
        second = explainers.METHODS[method](trace.retarget(kinds[1])).final[0]
        assert not torch.allclose(first, second, rtol=1e-3)
        right.append(share(first, mine) > share(second, mine))
    assert np.mean(right) > 0.7, np.mean(right)


@dataclass
class OnPhotographs:
    """What a method makes of the photographs, a number for each."""

    hits: list[bool] = field(default_factory=list)
    """Whether the maximum lies on the animal."""
    gains: list[float] = field(default_factory=list)
    """The map's share on the animal over the animal's share of the picture."""
    likeness: list[float] = field(default_factory=list)
    """Cosine similarity to the map of another class."""


@pytest.fixture(scope="module")
def on_photographs() -> dict[str, OnPhotographs]:
    """Of all methods out of the same traces."""
    figures = {method: OnPhotographs() for method in NEW}
    for row in manifest("pets"):
        if not row["mask"]:
            continue
        mask = Image.open(REAL / row["mask"]).resize((224, 224), Image.Resampling.NEAREST)
        animal = torch.from_numpy(np.array(mask) == 255)
        trace = vaw.trace(vit_tiny(), squeezed(REAL / row["file"]))
        other = trace.retarget(int(trace.logits[0].argsort()[500]))
        for method, of_method in figures.items():
            final = explainers.METHODS[method](trace).final[:, None]
            heat = nn.functional.interpolate(final, (224, 224), mode="bilinear")[0, 0]
            of_method.hits.append(bool(animal.flatten()[heat.argmax()]))
            of_method.gains.append(share(heat, animal.float()) / float(animal.float().mean()))
            unlike = explainers.METHODS[method](other).final[:, None]
            alike = torch.cosine_similarity(final.flatten(), unlike.flatten(), 0)
            of_method.likeness.append(float(alike))
    return figures


@pytest.mark.slow
@needs_real
@pytest.mark.parametrize("method", NEW)
def test_maps_of_photographs_lie_on_the_animal_and_know_the_class(
    method: str, on_photographs: dict[str, OnPhotographs]
) -> None:
    """On 26 photographs. The animal covers 26 % of them; a prior at the centre hits 92 %."""
    of_method = on_photographs[method]
    assert np.mean(of_method.hits) > 0.5, np.mean(of_method.hits)
    assert np.mean(of_method.gains) > 1.3, np.mean(of_method.gains)
    assert np.mean(of_method.likeness) < 0.95, np.mean(of_method.likeness)
