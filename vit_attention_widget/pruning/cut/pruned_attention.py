"""An attention module without some of its heads, made from one of timm's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from timm.layers import apply_rot_embed_cat  # type: ignore[attr-defined]
from timm.layers.attention import Attention, AttentionRope
from timm.models.beit import Attention as BeitAttention
from timm.models.eva import EvaAttention
from timm.models.vision_transformer_relpos import RelPosAttention
from torch import Tensor, nn

from ...models.timm.attention import projections
from .linear import linear_of

__all__ = ["PrunedAttention", "can_cut", "is_of_timm", "why_unknown"]

_LINEAR = ("qkv", "q_proj", "k_proj", "v_proj", "proj", "gate")
_KNOWN = (Attention, AttentionRope, BeitAttention, EvaAttention, RelPosAttention)


def can_cut(attention: nn.Module) -> bool:
    """Whether heads of this attention can be cut out.

    A norm over the joined heads (timm's ``scale_norm``) depends on all of them: there the values of
    a head can only be set to zero.
    """
    return isinstance(getattr(attention, "norm", None), nn.Identity | None)


def is_of_timm(attention: nn.Module) -> bool:
    """Whether this is one of timm's attention modules (of a subclass too), or made of one."""
    return isinstance(attention, (*_KNOWN, PrunedAttention))


def why_unknown(attention: nn.Module) -> str | None:
    """Why heads of this attention cannot be cut; None where it is one of timm's, unchanged."""
    if type(attention) not in (*_KNOWN, PrunedAttention) or "forward" in vars(attention):
        return f"its attention is a {type(attention).__name__}, which is none of timm's"
    for name, module in attention.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            return f"there is a hook on {name or 'its attention'}"
        if name in _LINEAR and type(module) is not nn.Linear:
            return f"its {name} is a {type(module).__name__}, not a plain Linear"
    return None


class PrunedAttention(nn.Module):
    """An attention module with the heads ``keep`` of another one, without the weights of the rest.

    It takes what timm's attention modules take: rotary embeddings, masks, and relative position
    biases of its own or shared by all blocks.

    Parameters
    ----------
    attention : nn.Module
        One of timm's attention modules, or a pruned one.
    keep : sequence of int
        Heads to keep, as numbered in ``attention``; may be empty.
    """

    def __init__(self, attention: Any, keep: Sequence[int]) -> None:
        super().__init__()
        weight, bias = projections(attention)
        keep = list(keep)
        self.num_heads, self.head_dim = len(keep), weight.shape[2]
        self.attn_dim = self.num_heads * self.head_dim
        self.scale = float(attention.scale)
        self.num_prefix_tokens = int(getattr(attention, "num_prefix_tokens", 0))
        self.rotate_half = bool(getattr(attention, "rotate_half", False))
        self.total_heads = int(getattr(attention, "total_heads", attention.num_heads))
        every = torch.arange(attention.num_heads, device=weight.device)
        before = getattr(attention, "kept", every)
        self.register_buffer("kept", before[keep].clone(), persistent=False)
        self.kept: Tensor
        self.qkv = linear_of(weight[:, keep].flatten(0, 2), _picked(bias, keep))
        self.q_norm = getattr(attention, "q_norm", None) or nn.Identity()
        self.k_norm = getattr(attention, "k_norm", None) or nn.Identity()
        self.attn_drop, self.proj_drop = attention.attn_drop, attention.proj_drop
        columns = attention.proj.weight.unflatten(1, (-1, self.head_dim))[:, keep]
        self.proj = linear_of(columns.flatten(1), attention.proj.bias)
        self.gate = None
        gate = getattr(attention, "gate", None)
        if gate is not None:
            rows = gate.weight.unflatten(0, (-1, self.head_dim))[keep].flatten(0, 1)
            bias = gate.bias
            if bias is not None:
                bias = bias.unflatten(0, (-1, self.head_dim))[keep].flatten()
            self.gate = linear_of(rows, bias)
        self.rel_pos = getattr(attention, "rel_pos", None)  # a module that biases all heads
        table = getattr(attention, "relative_position_bias_table", None)
        self.relative_position_bias_table = None
        if table is not None:
            self.relative_position_bias_table = nn.Parameter(
                table[:, keep].detach().clone(), table.requires_grad
            )
            index = attention.relative_position_index.clone()
            self.register_buffer("relative_position_index", index, persistent=False)
            self.relative_position_index: Tensor

    def extra_repr(self) -> str:
        """Which heads were kept."""
        return f"heads={self.kept.tolist()} of {self.total_heads}"

    def forward(
        self,
        x: Tensor,
        rope: Tensor | None = None,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        shared_rel_pos_bias: Tensor | None = None,
        shared_rel_pos: Tensor | None = None,
    ) -> Tensor:
        """Tokens [batch, token, dim] -> [batch, token, dim]."""
        gate = None if self.gate is None else self.gate(x).sigmoid()
        shape = (3, self.num_heads, self.head_dim)
        q, k, v = self.qkv(x).unflatten(-1, shape).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        if rope is not None:
            q, k = (self._rotated(t, rope).type_as(v) for t in (q, k))
        bias = self._bias(attn_mask, shared_rel_pos_bias, shared_rel_pos)
        drop = self.attn_drop.p if self.training else 0.0
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, dropout_p=drop, is_causal=is_causal, scale=self.scale
        )
        joined = out.transpose(1, 2).flatten(2)
        if gate is not None:
            joined = joined * gate
        projected: Tensor = self.proj_drop(self.proj(joined))
        return projected

    def _rotated(self, tokens: Tensor, rope: Tensor) -> Tensor:
        if rope.ndim >= 3 and rope.shape[-3] == self.total_heads > 1:
            rope = rope.index_select(-3, self.kept)  # each head has its own angles
        prefix, patches = tokens.split(
            [self.num_prefix_tokens, tokens.shape[2] - self.num_prefix_tokens], 2
        )
        return torch.cat([prefix, apply_rot_embed_cat(patches, rope, half=self.rotate_half)], 2)

    def _bias(self, *biases: Tensor | None) -> Tensor | None:
        """The sum of all biases of the kept heads; a boolean mask stands alone."""
        total: Tensor | None = None
        for bias in (*biases, self._shared_bias()):
            if bias is None:
                continue
            if bias.ndim >= 3 and bias.shape[-3] == self.total_heads > 1:
                bias = bias.index_select(-3, self.kept)
            total = bias if total is None else total + bias
        table = self.relative_position_bias_table
        if table is None:
            return total
        size = self.relative_position_index.shape
        by_head: Tensor = (
            table[self.relative_position_index.flatten()].unflatten(0, size).permute(2, 0, 1)
        )
        return by_head[None] if total is None else by_head[None] + total

    def _shared_bias(self) -> Tensor | None:
        if self.rel_pos is None:
            return None
        bias: Tensor = self.rel_pos.get_bias()
        return bias


def _picked(bias: Tensor | None, keep: list[int]) -> Tensor | None:
    return None if bias is None else bias[:, keep].flatten()
