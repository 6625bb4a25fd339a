"""Code of others' before the blocks of a timm model may move tokens: maps would be elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError

SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
IMAGES = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Turned(nn.Module):
    """Makes patches of the picture column by column."""

    def __init__(self, proj: nn.Module) -> None:
        super().__init__()
        self.proj = proj

    def forward(self, x: Tensor) -> Tensor:
        turned: Tensor = self.proj(x.transpose(2, 3))
        return turned


class ClassLast(VisionTransformer):
    """Has the class token behind the patches."""

    def _pos_embed(self, x: Tensor) -> Tensor:
        return super()._pos_embed(x).roll(-1, 1)


def with_columns() -> nn.Module:
    model = VisionTransformer(**SIZES)
    model.patch_embed.proj = Turned(model.patch_embed.proj)
    return model


def with_a_hook() -> nn.Module:
    model = VisionTransformer(**SIZES)
    model.norm_pre.register_forward_hook(lambda _, args, out: out.flip(1))
    return model


@pytest.mark.parametrize("make", [with_columns, with_a_hook, lambda: ClassLast(**SIZES)])
def test_tokens_in_another_order_are_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(UnsupportedModelError, match="in another order cannot be shown"):
        vaw.trace(make().eval(), IMAGES)


def test_hooks_that_look_are_taken_and_tried_once() -> None:
    model, seen = VisionTransformer(**SIZES).eval(), list[Tensor]()
    model.patch_embed.register_forward_hook(lambda _, args, out: seen.append(out))
    vaw.trace(model, IMAGES)
    assert [len(out) for out in seen] == [4, 1]
    vaw.trace(model, IMAGES)
    assert len(seen) == 3
    model.patch_embed.register_forward_hook(lambda _, args, out: out.flip(1))
    with pytest.raises(UnsupportedModelError, match="in another order cannot be shown"):
        vaw.trace(model, IMAGES)
