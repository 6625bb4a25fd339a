"""Selvaraju et al. 2017, with patch tokens for feature maps."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record, gradients, score


def gradcam(vit: ExplicitViT, record: Record, target: list[int], tokens: str = "normed") -> Tensor:
    """Each layer's own map, [B, L, patches]."""
    kinds = {"normed": record.normed, "before": record.inputs, "after": record.tokens}
    features = kinds[tokens]
    maps = []
    by_features = gradients(score(record.logits, target), features)
    for z, gradient in zip(features, by_features, strict=True):
        total = torch.zeros(z.shape[0], z.shape[1] - vit.prefix, dtype=torch.float64)
        for channel in range(z.shape[2]):
            weight = gradient[:, vit.prefix :, channel].mean(dim=1)
            total += weight[:, None] * z[:, vit.prefix :, channel]
        maps.append(total.clamp_min(0).detach())
    return torch.stack(maps, dim=1)
