"""Liao, Gao and Zhang 2025, without a classifier: neighbours in a memory bank, one by one."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest(feature: list[float], bank: list[list[float]], k: int) -> list[tuple[float, int]]:
    """The k largest cosines with their places; all vectors have length 1."""
    cosines = [
        (sum(a * b for a, b in zip(feature, row, strict=True)), i) for i, row in enumerate(bank)
    ]
    return sorted(cosines, reverse=True)[:k]


def votes(
    features: Tensor, bank: Tensor, labels: list[int], classes: int, k: int, temperature: float
) -> Tensor:
    """[B, class]: exp(cosine / T) of each neighbour, added up by class."""
    total = torch.zeros(len(features), classes, dtype=torch.float64)
    rows = _unit(bank)
    for image, feature in enumerate(_unit(features)):
        for cosine, i in nearest(feature, rows, k):
            total[image, labels[i]] += math.exp(cosine / temperature)
    return total


def weights(
    features: Tensor, bank: Tensor, labels: list[int], classes: int, k: int, temperature: float
) -> Tensor:
    """[B, D]: mean product with the winner's neighbours, over the size of its sum, min-maxed."""
    winners = votes(features, bank, labels, classes, k, temperature).argmax(dim=1).tolist()
    scaled = []
    rows = _unit(bank)
    for feature, winner in zip(_unit(features), winners, strict=True):
        near = [i for _, i in nearest(feature, rows, k) if labels[i] == winner]
        product = [
            sum(feature[d] * rows[i][d] for i in near) / len(near) for d in range(len(feature))
        ]
        total = sum(product)
        if total != 0:
            product = [value / abs(total) for value in product]
        low, high = min(product), max(product)
        scaled.append([(value - low) / (high - low) for value in product])
    return torch.tensor(scaled, dtype=torch.float64)


def _unit(vectors: Tensor) -> list[list[float]]:
    return [
        [value / math.sqrt(sum(v * v for v in row)) for value in row]
        for row in vectors.double().tolist()
    ]
