"""Liao, Gao and Zhang 2025: dynamic accumulated attention map."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record, gradients, score
from .readout import reads_class_token


def daam(
    vit: ExplicitViT,
    record: Record,
    target: list[int] | Tensor,
    normalize: bool = False,
    signed: bool = False,
) -> Tensor:
    """[B, L, patches]: the block maps added up."""
    prefix = vit.prefix
    alphas = gradients(score(record.logits, target), record.head_outputs)
    accumulated = torch.zeros(())
    maps = []
    for attention, values, alpha in zip(record.attention, record.values, alphas, strict=True):
        tokens = attention.shape[-1]
        block = torch.zeros(attention.shape[0], tokens, dtype=torch.float64)
        for query in [0] if reads_class_token(vit) else range(prefix, tokens):
            # F[n, (h, c)]: the query's head output before it is summed over n
            unlocked = attention[:, :, query, :, None] * values
            weight = alpha[:, :, query] if signed else alpha[:, :, query].relu()
            block += (weight[:, :, None] * unlocked).sum(dim=(1, 3)).detach()
        block = block.relu()[:, prefix:]
        if normalize:
            low, high = block.amin(-1, keepdim=True), block.amax(-1, keepdim=True)
            flat = high == low  # a map without any contrast adds nothing
            block = torch.where(flat, 0.0, (block - low) / torch.where(flat, 1.0, high - low))
        accumulated = accumulated + block
        maps.append(accumulated)
    return torch.stack(maps, dim=1)
