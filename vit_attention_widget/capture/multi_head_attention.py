"""PyTorch's multi-head attention, step by step, so that queries, keys and values can be observed.

A function mode sees ``F.multi_head_attention_forward`` as a single call. The steps here are the
same in the same order, so the results are bit-equal.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .torch_call import Args, Kwargs

__all__ = ["multi_head_attention"]

_SIGNATURE = inspect.signature(F.multi_head_attention_forward)

OnAttention: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, float, Tensor | None], Tensor]
"""Takes q, k, v and head outputs, each [batch, head, token, head_dim], scale and bias; returns the
head outputs to go on with."""


def multi_head_attention(
    args: Args, kwargs: Kwargs, on_attention: OnAttention
) -> tuple[Tensor, Tensor | None] | None:
    """Compute what ``F.multi_head_attention_forward`` returns, reporting the attention.

    Parameters
    ----------
    args, kwargs
        Those of the call; query, key and value are [token, batch, dim].
    on_attention : callable
        Called with the attention; the head outputs it returns replace the computed ones.

    Returns
    -------
    tuple of (Tensor, Tensor or None) or None
        Output [token, batch, dim] and attention weights. None if the call uses an option that is
        not implemented here.
    """
    call = _SIGNATURE.bind(*args, **kwargs)
    call.apply_defaults()
    a = call.arguments
    query = a["query"]
    not_implemented = ("bias_k", "bias_v", "key_padding_mask", "static_k", "static_v")
    mask = a["attn_mask"]
    if (
        any(a[name] is not None for name in not_implemented)
        or a["add_zero_attn"]
        or a["is_causal"]
        or query.ndim != 3
        or (mask is not None and mask.ndim != 2)
    ):
        return None
    tokens, batch, dim = query.shape
    heads = a["num_heads"]
    q, k, v = (
        part.view(part.shape[0], batch * heads, dim // heads).transpose(0, 1)
        for part in _queries_keys_values(a)
    )
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(mask, float("-inf"))
    q4, k4, v4 = (part.view(batch, heads, -1, dim // heads) for part in (q, k, v))
    weights = None
    if a["need_weights"]:
        scaled = q * math.sqrt(1.0 / float(q.shape[-1]))
        scores = torch.bmm(scaled, k.mT) if mask is None else torch.baddbmm(mask, scaled, k.mT)
        attention = scores.softmax(-1)
        out = torch.bmm(attention, v).view(batch, heads, tokens, -1)
        weights = attention.view(batch, heads, tokens, -1)
        weights = weights.mean(1) if a["average_attn_weights"] else weights
    else:
        out = F.scaled_dot_product_attention(q4, k4, v4, None if mask is None else mask[None, None])
    out = on_attention(q4, k4, v4, out, (dim // heads) ** -0.5, mask)
    joined = out.permute(2, 0, 1, 3).reshape(tokens * batch, dim)
    projected = F.linear(joined, a["out_proj_weight"], a["out_proj_bias"])
    return projected.view(tokens, batch, -1), weights


def _queries_keys_values(a: Kwargs) -> list[Tensor]:
    """Each [token, batch, dim]; keys and values of another width have weights of their own."""
    query, key, value = a["query"], a["key"], a["value"]
    if not a["use_separate_proj_weight"]:
        return _projected(query, key, value, a["in_proj_weight"], a["in_proj_bias"])
    packed = a["in_proj_bias"]
    biases = [None] * 3 if packed is None else packed.chunk(3)
    weights = a["q_proj_weight"], a["k_proj_weight"], a["v_proj_weight"]
    parts = zip((query, key, value), weights, biases, strict=True)
    return [F.linear(tokens, weight, bias) for tokens, weight, bias in parts]


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """Queries, keys and values, [token, batch, dim]; equal inputs are projected together."""
    dim = query.shape[-1]
    if query is key is value:
        return _unpacked(F.linear(query, weight, bias), 3)
    parts = [(query, 1), (key, 2)] if key is value else [(query, 1), (key, 1), (value, 1)]
    sizes = [count * dim for _, count in parts]
    biases = [None] * len(parts) if bias is None else bias.split(sizes)
    projections: list[Tensor] = []
    for (tokens, count), w, b in zip(parts, weight.split(sizes), biases, strict=True):
        projections += _unpacked(F.linear(tokens, w, b), count)
    return projections


def _unpacked(packed: Tensor, count: int) -> list[Tensor]:
    """Split the last axis into ``count`` tensors of its own memory each."""
    if count == 1:
        return [packed]
    split = packed.unflatten(-1, (count, packed.shape[-1] // count))
    return list(split.unsqueeze(0).transpose(0, -2).squeeze(-2).contiguous())
