"""The bundled scenes and the model that was trained on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vit_attention_widget as vaw
from vit_attention_widget.demo.model import WEIGHTS
from vit_attention_widget.demo.report import head_table
from vit_attention_widget.demo.train import accuracy
from vit_attention_widget.errors import ParameterError

FRESH = 1_000_600_000
"""Seeds that neither training nor its report has used."""


def test_a_scene_follows_from_its_seed() -> None:
    first, again, other = (vaw.demo.scene(seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.image != other.image).any()
    images, masks, labels = vaw.demo.draw([6, 5])
    assert labels[1] == first.label
    pixels = (images[1].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    np.testing.assert_array_equal(pixels, first.image)
    np.testing.assert_array_equal((masks[1] > 0.5).numpy(), first.mask)


@pytest.mark.parametrize("kind", vaw.demo.KINDS)
def test_the_mask_is_where_the_object_is(kind: str) -> None:
    """The same scene with the object in another kind differs only where one of the two lies."""
    other = vaw.demo.KINDS[(vaw.demo.KINDS.index(kind) + 1) % 10]
    one, two = vaw.demo.scene(seed=9, kind=kind), vaw.demo.scene(seed=9, kind=other)
    assert one.name == kind
    assert 0.02 < one.mask.mean() < 0.5
    differs = (one.image != two.image).any(-1)
    near = torch.nn.functional.max_pool2d(
        torch.from_numpy(one.mask | two.mask)[None].float(), 5, stride=1, padding=2
    )[0].bool()
    assert not (differs & ~near.numpy()).any()


@pytest.mark.slow
def test_colour_does_not_tell_the_kind() -> None:
    images, _, labels = vaw.demo.draw(range(1000))
    colours = images.mean((2, 3))
    means = torch.stack([colours[:600][labels[:600] == k].mean(0) for k in range(10)])
    guess = torch.cdist(colours[600:], means).argmin(-1)
    assert (guess == labels[600:]).float().mean() < 0.2


def test_two_objects_share_a_scene() -> None:
    scene = vaw.demo.two_objects(seed=5, kinds=("heart", "star"))
    assert scene.name == "heart"
    columns = np.nonzero(scene.mask.any(0))[0] / scene.mask.shape[1]
    assert columns.max() < 0.55 or columns.min() > 0.45  # the other side is the other object's


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ParameterError, match="choose one of circle"):
        vaw.demo.scene(seed=1, kind="dog")


@pytest.mark.slow
def test_the_model_knows_fresh_scenes() -> None:
    assert WEIGHTS.stat().st_size <= 4 * 2**20
    model = vaw.demo.load_model()
    assert not model.training
    assert accuracy(model, 600, first_seed=FRESH) >= 0.95


@pytest.mark.slow
def test_its_heads_differ() -> None:
    """Some heads matter, most hardly do."""
    table = head_table(vaw.demo.load_model(), count=60, first_seed=FRESH)
    assert table.max() > 0.1
    assert (table < 0.05).float().mean() > 0.6


def test_it_looks_at_the_object() -> None:
    model = vaw.demo.load_model()
    scenes = [vaw.demo.scene(seed=FRESH + i) for i in range(60)]
    trace = vaw.trace(model, [scene.image for scene in scenes])
    maps = vaw.explainers.daam(trace).upsample((80, 80))
    masks = torch.from_numpy(np.stack([scene.mask for scene in scenes]))
    inside = (maps * masks).sum((1, 2)) / maps.sum((1, 2))
    chance = masks.float().mean((1, 2))
    assert (inside > chance).float().mean() > 0.9
