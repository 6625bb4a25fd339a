"""Patch sizes, pictures that are not square, and sizes other than the model's, besides timm's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import torch
import torchvision
import transformers as hf
from libraries import SIZE, TINY, OwnModel
from models import randomise
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import ImageError


def _hf(name: str) -> Callable[..., nn.Module]:
    def create(size: tuple[int, int], patch: int) -> nn.Module:
        config = getattr(hf, f"{name}Config")
        options = {**SIZE, "image_size": size, "patch_size": patch, "num_labels": 5}
        return getattr(hf, f"{name}ForImageClassification")(config(**options))

    return create


def _open_clip(size: tuple[int, int], patch: int) -> nn.Module:
    return open_clip.transformer.VisionTransformer(
        image_size=size, patch_size=patch, width=16, layers=3, heads=2, mlp_ratio=2, output_dim=8
    )


def _torchvision(size: tuple[int, int], patch: int) -> nn.Module:
    return torchvision.models.VisionTransformer(
        image_size=size[0],
        patch_size=patch,
        num_layers=3,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
        num_classes=5,
    )


def _own(size: tuple[int, int], patch: int) -> nn.Module:
    model = OwnModel(norm_first=True)
    model.patch = nn.Conv2d(3, 16, patch, patch)
    model.position = nn.Parameter(torch.zeros(1, size[0] * size[1] // patch**2 + 1, 16))
    return model


CREATE = {"vit": _hf("ViT"), "beit": _hf("Beit"), "dinov2": _hf("Dinov2"), "own": _own}
CREATE |= {"open-clip": _open_clip, "torchvision": _torchvision}
SQUARE_ONLY = {"torchvision", "dinov2"}


def described(model: nn.Module, size: tuple[int, int], patch: int) -> vaw.VisionTransformer:
    if not isinstance(model, OwnModel):
        return vaw.describe(model)
    return vaw.adapt(
        model,
        "encoder.layers",
        lambda t: model.head(t[:, 0]),
        patch_size=patch,
        image_size=size,
    )


def first(features: Tensor) -> Tensor:
    return features[:, 0]


def check(vit: vaw.VisionTransformer, size: tuple[int, int], patch: int) -> None:
    """Every layer's attention is the model's own, and every method's map lies on the grid."""
    inputs = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).double()
    trace = vaw.trace(vit, inputs, None if vit.num_classes else first)
    layout = trace.tokens
    assert (layout.rows, layout.cols) == (size[0] // patch, size[1] // patch)
    assert (layout.image_height, layout.image_width) == size
    with torch.no_grad():
        torch.testing.assert_close(trace.logits, vit.forward(inputs))
        torch.testing.assert_close(vit.readout(trace.layers[-1].output), trace.logits)
    for layer, record in enumerate(trace.layers):
        torch.testing.assert_close(trace.attention(layer) @ record.v, record.out)
    for name, method in explainers.METHODS.items():
        values = method(trace).values
        assert values.shape == (2, 3, layout.rows, layout.cols), name
        assert values.isfinite().all(), name
        assert values.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("size", "patch"),
    [((24, 40), 8), ((42, 28), 14), ((32, 96), 16), ((96, 64), 32), ((64, 64), 32)],
    ids=["8", "14", "16", "32", "32-square"],
)
@pytest.mark.parametrize("name", CREATE)
def test_patch_sizes_and_pictures_that_are_not_square(
    name: str, size: tuple[int, int], patch: int
) -> None:
    if name in SQUARE_ONLY:
        size = (2 * patch, 2 * patch)
    model = CREATE[name](size, patch)
    randomise(model)
    vit = described(model.double().eval(), size, patch)
    check(vit, size, patch)
    prepared = vit.prepare(vaw.demo.scene(seed=1).image)
    assert prepared.shape == (1, 3, *size)
    assert vit.picture(prepared)[0].size == size[::-1]


@pytest.mark.parametrize("size", [(24, 40), (64, 48)])
@pytest.mark.parametrize(
    "name", [tiny.name for tiny in TINY if tiny.name.startswith("hf") and "eager" not in tiny.name]
)
def test_other_sizes_than_the_models(name: str, size: tuple[int, int]) -> None:
    """transformers' models stretch their position embeddings when they are told to."""
    model: Any = next(tiny for tiny in TINY if tiny.name == name).build()
    vit = vaw.describe(model)
    check(vit, size, 8)
    with pytest.raises(ImageError, match="whole patches of 8 x 8"):
        vaw.trace(vit, torch.zeros(1, 3, 30, 32))


def test_stretching_is_what_the_model_does_itself() -> None:
    model: Any = next(tiny for tiny in TINY if tiny.name == "hf-vit").build()
    inputs = torch.randn(2, 3, 48, 24, dtype=torch.float64)
    with torch.no_grad():
        theirs = model(pixel_values=inputs, interpolate_pos_encoding=True).logits
    torch.testing.assert_close(vaw.trace(model, inputs).logits, theirs)
