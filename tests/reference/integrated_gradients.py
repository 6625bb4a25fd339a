"""Integrated gradients by many small steps, one image and one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT

__all__ = ["integrated_gradients"]


def integrated_gradients(
    vit: ExplicitViT,
    images: Tensor,
    target: list[int],
    grid: tuple[int, int],
    patch: tuple[int, int],
    *,
    points: list[tuple[float, float]],
    baseline: float = 0.0,
) -> Tensor:
    """[image, row, col] with the integral as a sum over (place on the way, its share)."""
    rows, cols = grid
    high, wide = patch
    maps = torch.zeros(len(images), rows, cols, dtype=images.dtype)
    for i, image in enumerate(images):
        start = torch.full_like(image, baseline)
        mean = torch.zeros_like(image)
        for place, share in points:
            x = (start + place * (image - start)).requires_grad_()
            (gradient,) = torch.autograd.grad(vit(x[None]).logits[0, target[i]], x)
            mean += share * gradient
        pixels = (image - start) * mean
        for r in range(rows):
            for c in range(cols):
                inside = pixels[:, r * high : (r + 1) * high, c * wide : (c + 1) * wide]
                maps[i, r, c] = inside.sum()
    return maps
