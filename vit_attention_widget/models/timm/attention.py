"""What timm's attention modules compute, from their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers.attention import Attention
from timm.models.beit import Attention as BeitAttention
from timm.models.vision_transformer_relpos import RelPosAttention
from torch import Tensor, nn

__all__ = ["attend_rows", "projections"]


def projections(attention: Any) -> tuple[Tensor, Tensor | None]:
    """Weight [3, head, head_dim, dim] and bias [3, head, head_dim] of queries, keys and values.

    Heads that share keys and values (grouped-query attention) get a copy each.
    """
    heads = attention.num_heads
    if getattr(attention, "qkv", None) is not None:
        weight, bias = attention.qkv.weight, attention.qkv.bias
        if bias is None and getattr(attention, "q_bias", None) is not None:
            bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
        split = weight.unflatten(0, (3, heads, -1))
        return split, None if bias is None else bias.unflatten(0, (3, heads, -1))
    parts = [attention.q_proj, attention.k_proj, attention.v_proj]
    width = attention.q_proj.weight.shape[0] // heads
    biases = [getattr(attention, f"{name}_bias", None) for name in "qkv"]
    weights, offsets = [], []
    for part, extra in zip(parts, biases, strict=True):
        each = part.weight.unflatten(0, (-1, width))
        weights.append(each.repeat_interleave(heads // len(each), 0))
        bias = part.bias if extra is None else extra
        bias = each.new_zeros(each.shape[:2]) if bias is None else bias.unflatten(0, (-1, width))
        offsets.append(bias.repeat_interleave(heads // len(bias), 0))
    return torch.stack(weights), torch.stack(offsets)


def attend_rows(
    attention: Any, tokens: Tensor, rows: Sequence[int], bias: Tensor | None
) -> Tensor | None:
    """Head outputs of a few rows, without the keys and values of all tokens.

    A key is a product with the token, so a query may be carried to the tokens instead:
    ``q . (W_k x) = (W_k^T q) . x``; and values may be summed before they are projected. The keys'
    bias adds the same to all scores of a query, so the softmax takes it away.

    Parameters
    ----------
    attention : nn.Module
        One of timm's attention modules.
    tokens : Tensor
        What it is given, [batch, token, dim].
    rows : sequence of int
    bias : Tensor or None
        Added to the scores; broadcasts to [batch, head, row, token].

    Returns
    -------
    Tensor or None
        [batch, head, row, head_dim]; None if queries and keys are more than projections
        (normalized, rotated).
    """
    norms = (getattr(attention, "q_norm", None), getattr(attention, "k_norm", None))
    plain = all(norm is None or isinstance(norm, nn.Identity) for norm in norms)
    if not plain or not isinstance(attention, Attention | BeitAttention | RelPosAttention):
        return None
    weight, offset = projections(attention)
    query, key, value = weight.to(tokens).unbind(0)  # each [head, head_dim, dim]
    q = torch.einsum("brc,hdc->bhrd", tokens[:, rows], query)
    if offset is not None:
        q = q + offset[0][:, None].to(q)
    shape = q.shape[1:3]  # heads and rows as one axis: tokens are not copied for each head
    carried = torch.einsum("bhrd,hdc->bhrc", q * attention.scale, key).flatten(1, 2)
    scores = (carried @ tokens.mT).unflatten(1, shape)
    if bias is not None:
        scores = scores + bias
    mixed = scores.softmax(-1).flatten(1, 2) @ tokens
    out = torch.einsum("bhrc,hdc->bhrd", mixed.unflatten(1, shape), value)
    return out if offset is None else out + offset[2][:, None].to(out)
