"""Integrated gradients by many small steps, one image and one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .explicit import ExplicitViT

__all__ = ["integrated_gradients", "points_of"]


def integrated_gradients(
    vit: ExplicitViT,
    images: Tensor,
    target: list[int],
    grid: tuple[int, int],
    patch: tuple[int, int],
    *,
    steps: int | None = None,
    points: list[tuple[float, float]] | None = None,
    baseline: float = 0.0,
) -> Tensor:
    """[image, row, col] with the integral as a sum over (place on the way, its share).

    Either ``points`` are those, or there are ``steps`` of them where the target changes.
    """
    rows, cols = grid
    high, wide = patch
    maps = torch.zeros(len(images), rows, cols, dtype=images.dtype)
    for i, image in enumerate(images):
        start = torch.full_like(image, baseline)
        mean = torch.zeros_like(image)

        def score(x: Tensor, i: int = i) -> float:
            return float(vit(x[None]).logits[0, target[i]].detach())

        for place, share in points or points_of(score, start, image, steps or 0):
            x = (start + place * (image - start)).requires_grad_()
            (gradient,) = torch.autograd.grad(vit(x[None]).logits[0, target[i]], x)
            mean += share * gradient
        pixels = (image - start) * mean
        for r in range(rows):
            for c in range(cols):
                inside = pixels[:, r * high : (r + 1) * high, c * wide : (c + 1) * wide]
                maps[i, r, c] = inside.sum()
    return maps


def points_of(
    score: Callable[[Tensor], float], start: Tensor, image: Tensor, steps: int
) -> list[tuple[float, float]]:
    """Places and shares: those of Gauss and Legendre in at most 8 parts of the way of equal change.

    The change is that between the 17 places (i / 16)^2, by its root, a tenth of it spread evenly.
    """
    pilot = [(i / 16) ** 2 for i in range(17)]
    scores = [score(start + place * (image - start)) for place in pilot]
    roots = [abs(b - a) ** 0.5 for a, b in pairwise(scores)]
    passed = [0.0]
    for root in roots:
        passed.append(passed[-1] + root / sum(roots) + 0.1 / 16)

    def place_where(amount: float) -> float:
        for i in range(16):
            if amount <= passed[i + 1]:
                inside = (amount - passed[i]) / (passed[i + 1] - passed[i])
                return pilot[i] + inside * (pilot[i + 1] - pilot[i])
        return 1.0

    count = max(1, min(8, steps // 4))
    edges = [place_where(passed[-1] * part / count) for part in range(count + 1)]
    points = []
    for part in range(count):
        low, high = edges[part], edges[part + 1]
        roots_of_legendre, weights = np.polynomial.legendre.leggauss(
            steps // count + (part < steps % count)
        )
        for root, weight in zip(roots_of_legendre, weights, strict=True):
            points.append((low + (high - low) * (root + 1) / 2, (high - low) * weight / 2))
    return points
