"""Jo, Jang and Park 2025: gradient-driven multi-head attention rollout."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record, gradients, score
from .readout import read_out_rows


def head_weights(record: Record, target: list[int], gradient_norm: str) -> list[Tensor]:
    """Per layer [B, H]: the size of dy/dA of each head, as a share of the layer's."""
    weights = []
    for gradient in gradients(score(record.logits, target), record.attention):
        flat = gradient.flatten(2)
        size = flat.abs().sum(-1) if gradient_norm == "l1" else flat.pow(2).sum(-1).sqrt()
        for b in range(size.shape[0]):
            if size[b].sum() == 0:
                size[b] = 1.0
        weights.append(size / size.sum(dim=1, keepdim=True))
    return weights


def gmar(
    vit: ExplicitViT,
    record: Record,
    target: list[int],
    gradient_norm: str = "l1",
    update: str = "rollout",
    residual_weight: float = 1.0,
    weights: list[Tensor] | None = None,
) -> Tensor:
    """[B, L, patches]."""
    weights = head_weights(record, target, gradient_norm) if weights is None else weights
    maps = []
    rolled: Tensor | None = None
    for attention, w in zip(record.attention, weights, strict=True):
        batch, _, tokens, _ = attention.shape
        identity = torch.eye(tokens, dtype=attention.dtype).expand(batch, -1, -1)
        fused = (w[:, :, None, None] * attention.detach()).sum(dim=1)
        if rolled is None:
            rolled = identity
        if update == "paper":
            rolled = rolled @ fused + residual_weight * identity
        else:
            step = fused + residual_weight * identity
            rolled = (step / step.sum(dim=-1, keepdim=True)) @ rolled
        maps.append(read_out_rows(vit, rolled, record))
    return torch.stack(maps, dim=1)
