"""Images as vectors of head importance, and the plane of their two main components."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def vectors(importance: Tensor) -> Tensor:
    """[image, layer, head] -> [image, head of any layer], value by value."""
    images, layers, heads = importance.shape
    columns, spreads = [], []
    for layer in range(layers):
        for head in range(heads):
            values = [float(importance[i, layer, head]) for i in range(images)]
            if all(math.isnan(value) for value in values):
                continue  # the layer has no such head
            roots = [math.copysign(math.sqrt(abs(value)), value) for value in values]
            mean = sum(roots) / images
            columns.append([root - mean for root in roots])
            spreads.append(math.sqrt(sum((root - mean) ** 2 for root in roots) / images))
    usual = sum(spreads) / len(spreads)
    scaled = [[v / (s + usual) for v in c] for c, s in zip(columns, spreads, strict=True)]
    return torch.tensor(scaled, dtype=torch.float64).T


def plane(points: Tensor) -> Tensor:
    """The two main components of centred vectors, whichever way they point, [image, 2]."""
    _, turn = torch.linalg.eigh(points.T @ points)
    main = points @ turn[:, [-1, -2]]
    main = main - (main.min(0).values + main.max(0).values) / 2
    return main / main.abs().max()
