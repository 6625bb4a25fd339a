"""PyTorch's own multi-head attention, step by step, so that its queries, keys and values are seen.

``F.multi_head_attention_forward`` hides its steps from a function mode, which meets it as a whole.
The steps here are those that it takes, in the same order, so that the results are the same.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["multi_head_attention"]

_SIGNATURE = inspect.signature(F.multi_head_attention_forward)

Seen = Callable[[Tensor, Tensor, Tensor, Tensor, float, "Tensor | None"], Tensor]
"""Takes q, k, v, head outputs [batch, head, token, head_dim], scale and bias; gives the outputs."""


def multi_head_attention(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], seen: Seen
) -> tuple[Tensor, Tensor | None] | None:
    """What ``F.multi_head_attention_forward`` returns; None where it is asked for something rarer.

    Parameters
    ----------
    args, kwargs
        Of the call; query, key and value are [token, batch, dim].
    seen : callable
        Told of the head outputs; what it returns takes their place.
    """
    given = _SIGNATURE.bind(*args, **kwargs)
    given.apply_defaults()
    a = given.arguments
    query = a["query"]
    rare = ("bias_k", "bias_v", "key_padding_mask", "static_k", "static_v")
    mask = a["attn_mask"]
    if (
        any(a[name] is not None for name in rare)
        or a["add_zero_attn"]
        or a["use_separate_proj_weight"]
        or a["is_causal"]
        or query.ndim != 3
        or (mask is not None and mask.ndim != 2)
    ):
        return None
    tokens, batch, dim = query.shape
    heads = a["num_heads"]
    q, k, v = (
        part.view(part.shape[0], batch * heads, dim // heads).transpose(0, 1)
        for part in _projected(query, a["key"], a["value"], a["in_proj_weight"], a["in_proj_bias"])
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
    out = seen(q4, k4, v4, out, (dim // heads) ** -0.5, mask)
    joined = out.permute(2, 0, 1, 3).reshape(tokens * batch, dim)
    projected = F.linear(joined, a["out_proj_weight"], a["out_proj_bias"])
    return projected.view(tokens, batch, -1), weights


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    dim = query.shape[-1]
    if query is key is value:
        packed = F.linear(query, weight, bias).unflatten(-1, (3, dim))
        return list(packed.unsqueeze(0).transpose(0, -2).squeeze(-2).contiguous())
    parts = [(query, 1), (key, 2)] if key is value else [(query, 1), (key, 1), (value, 1)]
    sizes = [count * dim for _, count in parts]
    biases = [None] * len(parts) if bias is None else bias.split(sizes)
    found: list[Tensor] = []
    for (tokens, count), w, b in zip(parts, weight.split(sizes), biases, strict=True):
        projected = F.linear(tokens, w, b)
        found += (
            [projected]
            if count == 1
            else list(
                projected.unflatten(-1, (2, dim))
                .unsqueeze(0)
                .transpose(0, -2)
                .squeeze(-2)
                .contiguous()
            )
        )
    return found
