"""What was seen of a forward pass, sorted by layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..capture.function_mode import AttentionCall, BlockCall, Capture
from ..errors import CaptureError, UnsupportedModelError
from ..models import VisionTransformer
from ..models.token_layout import TokenLayout

__all__ = ["LayerRecord", "sort_calls"]


@dataclass
class LayerRecord:
    """What one block computed: q, k, v, out are [batch, head, token, head_dim]."""

    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor
    scale: float
    bias: Tensor | None
    block: BlockCall

    @cached_property
    def masked(self) -> Tensor:
        """Heads that put out nothing, as those that are masked do: [batch, head, 1, 1] bool."""
        return (self.out.detach() == 0).all(-1, keepdim=True).all(-2, keepdim=True)

    @property
    def rows_at_once(self) -> int:
        """Query rows whose attention, in all heads, takes near 64 MB in float32."""
        batch, heads, tokens, _ = self.q.shape
        return max(1, 2**24 // max(1, batch * heads * tokens))

    def attention(self, heads: slice | list[int], queries: slice | list[int]) -> Tensor:
        """Attention after the softmax, [batch, head, query, key], in float32 at least."""
        q, k = self.q[:, heads][:, :, queries].detach(), self.k[:, heads].detach()
        scores = (q * self.scale) @ k.transpose(-2, -1)
        if self.bias is not None:
            scores = _add_bias(scores, _part_of_bias(self.bias.detach(), heads, queries))
        weights = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        return weights.softmax(-1)

    @property
    def input(self) -> Tensor:
        """Tokens before the block, [batch, token, dim]."""
        return self.block.input

    @property
    def output(self) -> Tensor:
        """Tokens after the block, [batch, token, dim]."""
        return self.block.output


def sort_calls(
    capture: Capture, vit: VisionTransformer, tokens: TokenLayout, first: int = 0
) -> tuple[list[LayerRecord], AttentionCall | None]:
    """Give each attention call to its layer; one call a block, over exactly the tokens.

    Returns the records from layer ``first`` on, and the call outside all blocks if there was one.
    """
    calls: dict[int, AttentionCall] = {}
    pool = None
    for call in capture.attention_calls:
        if call.block is None:
            pool = call
            continue
        if call.block in calls:
            raise UnsupportedModelError(
                f"Block {call.block} of {vit.name} calls attention more than once "
                f"({calls[call.block].path!r} and {call.path!r}): which one to show is not defined."
            )
        if call.q.shape[-2] != tokens.num_tokens or call.k.shape[-2] != tokens.num_tokens:
            raise UnsupportedModelError(
                f"{call.path!r} of {vit.name} attends from {call.q.shape[-2]} to "
                f"{call.k.shape[-2]} tokens, but the input has {tokens.num_tokens} "
                f"({tokens.num_prefix} prefix tokens and {tokens.rows} x {tokens.cols} patches)."
            )
        calls[call.block] = call
    layers = range(first, vit.num_layers)
    missing = [i for i in layers if i not in calls or i not in capture.block_calls]
    if missing:
        raise CaptureError(
            f"No attention was seen in layers {missing} of {vit.name}: their attention is neither "
            "scaled_dot_product_attention nor softmax(q @ k.T) @ v."
        )
    records = []
    for i in layers:
        c = calls[i]
        records.append(LayerRecord(c.q, c.k, c.v, c.out, c.scale, c.bias, capture.block_calls[i]))
    return records, pool


def _part_of_bias(bias: Tensor, heads: slice | list[int], queries: slice | list[int]) -> Tensor:
    while bias.ndim < 4:
        bias = bias[None]
    if bias.shape[1] > 1:
        bias = bias[:, heads]
    return bias[:, :, queries] if bias.shape[2] > 1 else bias


def _add_bias(scores: Tensor, bias: Tensor) -> Tensor:
    if bias.dtype == torch.bool:
        return scores.masked_fill(~bias, float("-inf"))
    return scores + bias
