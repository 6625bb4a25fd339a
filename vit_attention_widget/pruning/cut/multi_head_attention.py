"""PyTorch's multi-head attention without some of its heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .linear import linear_of

__all__ = ["PrunedMultiheadAttention", "why_not_multi_head"]


def why_not_multi_head(attention: nn.Module) -> str | None:
    """Why heads of a multi-head attention cannot be cut; None where they can."""
    if isinstance(attention, PrunedMultiheadAttention):
        return None
    if type(attention) is not nn.MultiheadAttention or "forward" in vars(attention):
        return f"its attention is a {type(attention).__name__}, whose forward is its own"
    if attention.in_proj_weight is None:
        return "its keys or values have another width than its queries"
    if attention.bias_k is not None or attention.add_zero_attn:
        return "a key is added to those of the tokens"
    if any(m._forward_hooks or m._forward_pre_hooks for m in attention.modules()):
        return "there is a hook on its attention"
    return None


class PrunedMultiheadAttention(nn.Module):
    """``nn.MultiheadAttention`` of a token sequence to itself, with the heads ``keep`` alone.

    PyTorch's own wants heads times their width to be the model's width.

    Parameters
    ----------
    attention : nn.MultiheadAttention or PrunedMultiheadAttention
    keep : sequence of int
        Heads to keep, as numbered in ``attention``; may be empty.
    """

    num_heads: int
    head_dim: int
    embed_dim: int
    batch_first: bool
    dropout: float
    _qkv_same_embed_dim = False  # nn.TransformerEncoderLayer asks, and takes its slow path

    def __init__(
        self, attention: nn.MultiheadAttention | PrunedMultiheadAttention, keep: Sequence[int]
    ) -> None:
        super().__init__()
        keep = list(keep)
        self.num_heads, self.head_dim = len(keep), int(attention.head_dim)
        self.embed_dim, self.batch_first = int(attention.embed_dim), bool(attention.batch_first)
        self.dropout = float(attention.dropout)
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        shape = (3, attention.num_heads, self.head_dim)
        self.qkv: nn.Linear = linear_of(
            weight.unflatten(0, shape)[:, keep].flatten(0, 2),
            None if bias is None else bias.unflatten(0, shape)[:, keep].flatten(),
        )
        columns = attention.out_proj.weight.unflatten(1, (-1, self.head_dim))[:, keep]
        self.out_proj: nn.Linear = linear_of(columns.flatten(1), attention.out_proj.bias)

    @property
    def in_proj_weight(self) -> Tensor:
        """As PyTorch calls it, [3 x head x head_dim, dim]."""
        return self.qkv.weight

    @property
    def in_proj_bias(self) -> Tensor | None:
        """As PyTorch calls it, [3 x head x head_dim]."""
        return self.qkv.bias

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As PyTorch's, of a sequence to itself: tokens [batch, token, dim] where batch is first.

        Raises
        ------
        ValueError
            If query, key and value differ, or keys are to be left out.
        """
        if query is not key or key is not value or key_padding_mask is not None:
            raise ValueError("A pruned multi-head attention attends from one sequence to itself.")
        tokens = query if self.batch_first else query.transpose(0, 1)
        shape = (3, self.num_heads, self.head_dim)
        q, k, v = self.qkv(tokens).unflatten(-1, shape).permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if attn_mask is None else _of_heads(attn_mask, q)
        if mask is not None and mask.dtype is torch.bool:
            mask = ~mask  # here True leaves a key out, there it keeps one
        drop = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, mask, drop, is_causal and mask is None)
        joined = self.out_proj(out.transpose(1, 2).flatten(2))
        weights = None
        if need_weights:
            scores = q @ k.mT * self.head_dim**-0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype is torch.bool else (
                    scores + mask
                )  # fmt: skip
            weights = scores.softmax(-1)
            weights = weights.mean(1) if average_attn_weights else weights
        return (joined if self.batch_first else joined.transpose(0, 1)), weights


def _of_heads(mask: Tensor, q: Tensor) -> Tensor:
    """A mask [query, key], one for all heads, for queries [batch, head, token, head_dim]."""
    if mask.ndim != 2:
        raise ValueError("A pruned multi-head attention takes one mask for all heads.")
    return mask if mask.dtype is torch.bool else mask.to(q.dtype)
