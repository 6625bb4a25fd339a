"""Bousselham et al. 2024: LeGrad."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record, gradients, score


def legrad(
    vit: ExplicitViT,
    record: Record,
    target: list[int],
    readout: str = "model",
    start: int = 0,
) -> Tensor:
    """[B, L, patches]: the layers' maps added up, from `start` on."""
    patches = record.tokens[0].shape[1] - vit.prefix
    accumulated = torch.zeros(len(record.logits), patches, dtype=torch.float64)
    maps = []
    for layer, (attention, z) in enumerate(zip(record.attention, record.tokens, strict=True)):
        if layer >= start:
            logits = vit.readout(z, readout)
            by_pool = readout == "model" and vit.pool is not None
            (gradient,) = gradients(
                score(logits, target), [vit.pool.attention if by_pool else attention]
            )
            if by_pool:  # the attention is the pool's, on z_l; its first latent query
                gradient = gradient[:, :, :1]
            accumulated = accumulated + gradient.relu().mean(dim=(1, 2))[:, -patches:]
        maps.append(accumulated)
    return torch.stack(maps, dim=1)
