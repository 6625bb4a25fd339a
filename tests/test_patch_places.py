"""Patches lie where the model takes them from, whatever it pads, leaves out or lets overlap.

The oracle is literal: one row (or column) of pixels after the other is changed, and the tokens that
enter the first block are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import timm
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import vit_attention_widget as vaw
from tests.models import randomise
from vit_attention_widget.comparison.grid import on_finest_grid
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.evaluation.maps import pixel_ranks, to_pixels
from vit_attention_widget.models import VisionTransformer, describe
from vit_attention_widget.models.map_area import WHOLE, Area, lay_over
from vit_attention_widget.session import Session
from vit_attention_widget.tracing.trace import Trace


class Plain(nn.Module):
    """A Vision Transformer whose pictures become patches by any code."""

    def __init__(self, embed: nn.Module, patches: int) -> None:
        super().__init__()
        self.embed = embed
        self.pos_embed = nn.Parameter(torch.zeros(1, patches, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).mT + self.pos_embed
        return self.head(self.blocks(tokens).mean(1))


class PaddedAround(nn.Module):
    """Pads the picture on all sides to whole patches, as some code does for windows."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, 16, 8, 8)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(F.pad(images, (3, 3, 1, 1)))


class Detached(nn.Module):
    """Scales the picture without a gradient."""

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return images * 2


def _adapted(embed: nn.Module, size: tuple[int, int], patch: int) -> VisionTransformer:
    rows, cols = (side // patch for side in size)
    model = Plain(embed, rows * cols).double().eval()
    randomise(model)
    return vaw.adapt(
        model, "blocks.layers", lambda tokens: model.head(tokens.mean(1)),
        image_size=size, patch_size=patch,
    )  # fmt: skip


def _timm(name: str, **options: object) -> VisionTransformer:
    model = timm.create_model(name, depth=2, num_classes=5, **options)
    for module in model.modules():  # by it every pixel reaches every token
        if isinstance(module, nn.GroupNorm):
            module.forward = lambda x: x
    randomise(model)
    return describe(model.double().eval())


def _described(embed: nn.Module, size: tuple[int, int], patch: int) -> VisionTransformer:
    model = Plain(embed, size[0] // patch * (size[1] // patch))
    model.img_size = size
    randomise(model)
    return describe(model.double().eval())


SMALL = {"patch_size": 8, "embed_dim": 16, "num_heads": 2}
MODELS: dict[str, tuple[Callable[[], VisionTransformer], tuple[int, int], float, float]] = {
    "whole": (lambda: _timm("vit_tiny_patch16_224", img_size=32, **SMALL), (32, 32), 0, 0),
    "cut": (lambda: _timm("vit_tiny_patch16_224", img_size=36, **SMALL), (36, 36), 0, 0),
    "padded": (
        lambda: _timm(
            "vit_tiny_patch16_224", img_size=32, dynamic_img_size=True, dynamic_img_pad=True,
            **SMALL,
        ),
        (36, 27), 0, 0,
    ),
    "hybrid": (lambda: _timm("vit_tiny_r_s16_p8_224", img_size=64, **SMALL), (64, 64), 1.5, 1.5),
    "overlapping": (lambda: _adapted(nn.Conv2d(3, 16, 6, 4, 1), (24, 32), 4), (24, 32), 0, 0),
    "overlapping by an odd number": (
        lambda: _adapted(nn.Conv2d(3, 16, 7, 4, 3), (24, 32), 4), (24, 32), -1.5, -1.5
    ),
    "two convolutions": (
        lambda: _adapted(
            nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)), (24, 32), 4
        ),
        (24, 32), -1.5, -1.5,
    ),
    "padded by its convolution": (
        lambda: _described(nn.Conv2d(3, 16, 8, 8, 2), (24, 32), 8), (24, 32), -2, -2
    ),
    "padded around": (lambda: _described(PaddedAround(), (26, 25), 8), (26, 25), -1, -3),
}  # fmt: skip


@cache
def _traced(name: str) -> Trace:
    make, size, _, _ = MODELS[name]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, *size, generator=generator, dtype=torch.float64)
    return vaw.trace(make(), images)


def _pixels_that_change(trace: Trace, axis: int) -> Tensor:
    """Which tokens each row (or column) of pixels changes, [pixel, token]."""
    seen: list[Tensor] = []
    hook = trace.model.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    length = trace.inputs.shape[2 + axis]
    images = trace.inputs.repeat(length + 1, 1, 1, 1)
    for pixel in range(length):
        images[1 + pixel].select(1 + axis, pixel).add_(1)
    with torch.no_grad():
        trace.model.forward(images)
    hook.remove()
    return ((seen[0][1:] - seen[0][:1]).abs() > 1e-9).any(-1)


@pytest.mark.parametrize("name", MODELS)
def test_a_patch_lies_in_the_middle_of_the_pixels_that_change_it(name: str) -> None:
    trace = _traced(name)
    tokens, (_, size, top, left) = trace.tokens, MODELS[name]
    assert (tokens.top, tokens.left) == (top, left)
    for axis in range(2):
        changed = _pixels_that_change(trace, axis)
        inside = 0
        for row in range(tokens.rows):
            for col in range(tokens.cols):
                pixels = changed[:, tokens.token(row, col)].nonzero().flatten().tolist()
                first, end = pixels[0], pixels[-1] + 1
                box = tokens.box(row, col)
                assert first <= box[axis] < box[axis + 2] <= end
                if first > 0 and end < size[axis]:  # nothing is cut off by the picture's edge
                    inside += 1
                    assert abs((box[axis] + box[axis + 2]) - (first + end)) <= 1
                    y, x = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                    assert tokens.patch_at(y, x) == (row, col)
        assert inside or name in ("hybrid", "padded around")  # too few patches


def _literal(grid: Tensor, size: tuple[int, int], trace: Trace, mode: str) -> Tensor:
    """A map [row, col] at pixels, one by one."""
    tokens = trace.tokens
    sides = (
        (size[0] / trace.inputs.shape[2], tokens.top, tokens.patch_height, tokens.rows),
        (size[1] / trace.inputs.shape[3], tokens.left, tokens.patch_width, tokens.cols),
    )
    weights = []
    for length, (scale, start, patch, count) in zip(size, sides, strict=True):
        of_axis = torch.zeros(length, count, dtype=torch.float64)
        for pixel in range(length):
            place = ((pixel + 0.5) / scale - start) / patch
            if mode == "nearest":
                of_axis[pixel, min(max(int(place // 1), 0), count - 1)] = 1
                continue
            low = int((place - 0.5) // 1)
            share = place - 0.5 - low
            of_axis[pixel, min(max(low, 0), count - 1)] += 1 - share
            of_axis[pixel, min(max(low + 1, 0), count - 1)] += share
        weights.append(of_axis)
    out = torch.zeros(size, dtype=torch.float64)
    for y in range(size[0]):
        for x in range(size[1]):
            out[y, x] = (weights[0][y][:, None] * weights[1][x] * grid).sum()
    return out


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("name", MODELS)
def test_maps_are_laid_where_the_patches_lie(name: str, mode: str) -> None:
    trace = _traced(name)
    maps = vaw.explainers.attention(trace)
    size = trace.inputs.shape[2], trace.inputs.shape[3]
    expected = _literal(maps.final[0], size, trace, mode)
    assert torch.allclose(maps.upsample(size, mode)[0], expected, atol=1e-12)
    assert torch.allclose(to_pixels(trace, maps.final, mode)[0], expected, atol=1e-12)
    twice = (2 * size[0], 2 * size[1])
    assert torch.allclose(
        maps.upsample(twice, mode)[0], _literal(maps.final[0], twice, trace, mode), atol=1e-12
    )


@pytest.mark.parametrize("name", MODELS)
def test_what_is_hidden_of_a_patch_is_where_it_lies(name: str) -> None:
    trace = _traced(name)
    tokens, maps = trace.tokens, vaw.explainers.attention(trace)
    ranks = pixel_ranks(trace, maps.final)[0]
    order = maps.final[0].flatten().argsort(descending=True).tolist()
    for rank, patch in enumerate(order):
        top, left, bottom, right = tokens.box(*divmod(patch, tokens.cols))
        assert (ranks[top:bottom, left:right] == rank).all()
    hidden = vaw.explainers.occlusion(trace).final[0]
    top, left, bottom, right = tokens.box(1, 1)
    images = trace.inputs.clone()
    images[:, :, top:bottom, left:right] = 0
    with torch.no_grad():
        fall = trace.target.score(trace.logits) - trace.target.score(trace.model.forward(images))
    assert torch.allclose(hidden[1, 1], fall)


def test_all_patches_hide_all_pixels() -> None:
    trace = _traced("overlapping by an odd number")  # the last pixels are in no patch's middle
    tokens = trace.tokens
    hidden = vaw.explainers.occlusion(trace, window=(tokens.rows, tokens.cols), stride=1).final
    with torch.no_grad():
        nothing = trace.model.forward(torch.zeros_like(trace.inputs))
    fall = trace.target.score(trace.logits) - trace.target.score(nothing)
    assert torch.allclose(hidden[0], fall.detach())


def test_maps_are_laid_in_their_own_precision() -> None:
    maps, area = torch.rand(2, 3, 4), (-0.05, 0.0, 1.1, 0.9)
    laid = lay_over(maps, (30, 40), area)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lay_over(maps, (30, 40), area), laid)
    assert torch.allclose(lay_over(maps.double(), (30, 40), area).float(), laid, atol=1e-6)


def test_integrated_gradients_lose_no_pixel() -> None:
    for name in ("cut", "padded", "overlapping by an odd number", "padded around"):
        trace = _traced(name)
        maps = vaw.explainers.integrated_gradients(trace, steps=64)
        nothing = trace.model.forward(torch.zeros_like(trace.inputs))
        change = trace.target.score(trace.logits) - trace.target.score(nothing)
        assert torch.allclose(maps.final.sum(), change.detach()[0], rtol=1e-2, atol=1e-3)


def test_the_center_is_that_of_the_picture() -> None:
    trace = _traced("padded")
    maps = vaw.evaluation.center(trace).final[0]
    tokens, (height, width) = trace.tokens, trace.inputs.shape[-2:]
    for row in range(tokens.rows):
        for col in range(tokens.cols):
            u, v = ((row + 0.5) * 8) / height - 0.5, ((col + 0.5) * 8) / width - 0.5
            expected = torch.exp(torch.tensor(-(u**2 + v**2) / (2 * 0.25**2)))
            assert torch.isclose(maps[row, col].float(), expected)


def test_maps_of_models_that_take_other_parts_are_compared_by_place() -> None:
    maps = torch.rand(2, 3, 3, dtype=torch.float64)
    area: Area = (0.0, 0.0, 0.9, 0.9)
    same = on_finest_grid(list(maps), [area, area])
    assert torch.equal(same, maps)
    laid = on_finest_grid(list(maps), [WHOLE, area])
    assert torch.allclose(laid[0], maps[0])
    assert torch.allclose(laid[1], lay_over(maps[1], (3, 3), area))
    assert not torch.allclose(laid[1], maps[1])


def test_files_keep_where_patches_lie(tmp_path) -> None:  # type: ignore[no-untyped-def]
    trace = _traced("padded")
    maps = vaw.explainers.attention(trace)
    maps.save(tmp_path / "maps.safetensors")
    again = vaw.explainers.Attribution.load(tmp_path / "maps.safetensors")
    assert again.area == maps.area != WHOLE
    assert torch.equal(again.upsample((36, 27)), maps.upsample((36, 27)))


def test_the_browser_is_told_where_patches_lie() -> None:
    trace = _traced("padded")
    session = Session(trace.model, trace.inputs[0].float())
    info = session._model_info
    session.close()
    assert (info["image_height"], info["image_width"]) == (36, 27)
    assert info["area"] == [0, 0, 40 / 36, 32 / 27]


def test_a_model_that_resizes_its_picture_is_refused() -> None:
    class Resized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Conv2d(3, 16, 8, 8)

        def forward(self, images: Tensor) -> Tensor:
            return self.proj(F.interpolate(images, (32, 32)))

    # patches of 8 in a picture of 32, but the picture that comes in is 38 pixels large
    vit = _described(Resized(), (38, 38), 8)
    with pytest.raises(UnsupportedModelError, match=r"every .* pixels of its input"):
        vit.tokens(torch.zeros(1, 3, 38, 38))


class Rolled(nn.Module):
    """Places patches one column further, as shifted windows begin."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, 16, 4, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).roll(1, -1)


def test_patches_in_another_order_are_refused_overlapping_or_not() -> None:
    class Turned(Rolled):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Conv2d(3, 16, 7, 4, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.proj(images).flip(-1)

    class Both(Rolled):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Conv2d(3, 16, 7, 4, 3)

    for embed in (Rolled(), Turned(), Both()):
        with pytest.raises(UnsupportedModelError, match="row by row"):
            _adapted(embed, (24, 32), 4).tokens(torch.zeros(1, 3, 24, 32))


def _pooled(width: int) -> nn.Module:
    convolutions = nn.Conv2d(3, width, 3, 2, 1), nn.Conv2d(width, width, 3, 2, 1)
    rest = nn.MaxPool2d(3, 2, 1), nn.Conv2d(width, 16, 1)
    return nn.Sequential(Detached(), convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), *rest)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_at_rest_moves_no_patch(seed: int) -> None:
    vit = _adapted(_pooled(16), (48, 64), 8)
    torch.manual_seed(seed)
    vit.model.embed = _pooled(2).double()
    layout = vit.tokens(torch.zeros(1, 3, 48, 64))
    assert (layout.top, layout.left) == (-3.5, -3.5)  # centers are at pixels 0, 8, 16, ...


def test_a_stem_of_convolutions_is_taken_whatever_its_weights() -> None:
    def convolution(width: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(width, 16, 3, 2, 1), nn.ReLU())

    for seed in range(12):
        torch.manual_seed(seed)
        embed = nn.Sequential(*map(convolution, (3, 16, 16)), nn.Conv2d(16, 16, 1))
        model = Plain(embed, 64).eval()
        read = model.head
        vit = vaw.adapt(
            model, "blocks.layers", lambda tokens, read=read: read(tokens.mean(1)),
            image_size=64, patch_size=8,
        )  # fmt: skip
        layout = vit.tokens(torch.zeros(1, 3, 64, 64))
        assert (layout.top, layout.left) == (-3.5, -3.5)


def test_places_are_measured_once_a_size() -> None:
    vit = _adapted(nn.Conv2d(3, 16, 7, 4, 3), (24, 32), 4)
    images = torch.zeros(1, 3, 24, 32, dtype=torch.float64)
    first = vit.tokens(images)
    runs: list[object] = []
    hook = vit.model.register_forward_pre_hook(lambda *_: runs.append(1))
    assert vit.tokens(images) == first == replace(first)
    assert not runs
    hook.remove()
