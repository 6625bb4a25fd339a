"""The part of a timm block that follows its attention, for any subset of its tokens.

Everything after the attention works on each token by itself, so a single row can be carried
through a block at the price of one token. :class:`~vit_attention_widget.trace.Trace` checks every
block against what the model itself computed before it relies on this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models.beit import Block as BeitBlock
from timm.models.eva import EvaBlock, EvaBlockPostNorm
from timm.models.vision_transformer import Block, ResPostBlock
from timm.models.vision_transformer_relpos import RelPosBlock, ResPostRelPosBlock
from torch import Tensor, nn

from . import attention as timm_attention

__all__ = ["attend_rows", "finish_block"]

_PRE_NORM = (Block, BeitBlock, EvaBlock, RelPosBlock)
_POST_NORM = (ResPostBlock, EvaBlockPostNorm, ResPostRelPosBlock)


def finish_block(block: Any, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
    """Output of ``block`` from its inputs [B, n, dim] and head outputs [B, head, n, head_dim].

    Returns None for a block of unknown form.
    """
    if isinstance(block, _PRE_NORM):
        x = inputs + _scaled(block, 1, _project(block.attn, block.norm1(inputs), head_outputs))
        return x + _scaled(block, 2, block.mlp(block.norm2(x)))
    if isinstance(block, _POST_NORM):
        x = inputs + block.norm1(_project(block.attn, inputs, head_outputs))
        after: Tensor = x + block.norm2(block.mlp(x))
        return after
    return None


def attend_rows(
    block: Any, inputs: Tensor, rows: Sequence[int], bias: Tensor | None
) -> Tensor | None:
    """Head outputs of a few rows of ``block``, [B, head, row, head_dim]; None if not known how."""
    if isinstance(block, _PRE_NORM):
        inputs = block.norm1(inputs)
    elif not isinstance(block, _POST_NORM):
        return None
    return timm_attention.attend_rows(block.attn, inputs, rows, bias)


def _project(attention: Any, normed: Tensor, head_outputs: Tensor) -> Tensor:
    joined = head_outputs.transpose(1, 2).flatten(2)
    norm = getattr(attention, "norm", None)
    if isinstance(norm, nn.Module):
        joined = norm(joined)
    gate = getattr(attention, "gate", None)
    if gate is not None:
        joined = joined * gate(normed).sigmoid()
    projected: Tensor = attention.proj(joined)
    return projected


def _scaled(block: Any, which: int, branch: Tensor) -> Tensor:
    """LayerScale, by the name that the family gives it."""
    layer_scale = getattr(block, f"ls{which}", None)
    if layer_scale is not None:
        scaled: Tensor = layer_scale(branch)
        return scaled
    gamma = getattr(block, f"gamma_{which}", None)
    return branch if gamma is None else branch * gamma
