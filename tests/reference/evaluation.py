"""Scores of maps, one picture, one patch, one pixel at a time, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Model = Callable[[Array], Array]
"""One picture [3, height, width] -> logits [class]."""


def probability(model: Model, picture: Array, label: int) -> float:
    logits = model(picture)
    exponents = [math.exp(v - max(logits)) for v in logits]
    return exponents[label] / sum(exponents)


def is_first(model: Model, picture: Array, label: int) -> float:
    return float(int(np.argmax(model(picture))) == label)


def order(grid: Array) -> list[tuple[int, int]]:
    """Patches from the most to the least relevant; no two values may be equal."""
    places = [(r, c) for r in range(grid.shape[0]) for c in range(grid.shape[1])]
    assert len({float(grid[p]) for p in places}) == len(places)
    return sorted(places, key=lambda p: -float(grid[p]))


def put(
    picture: Array, other: Array, patches: list[tuple[int, int]], size: tuple[int, int]
) -> Array:
    """The picture with some patches taken from the other."""
    changed = picture.copy()
    for row, col in patches:
        for y in range(row * size[0], (row + 1) * size[0]):
            for x in range(col * size[1], (col + 1) * size[1]):
                if y < picture.shape[1] and x < picture.shape[2]:
                    changed[:, y, x] = other[:, y, x]
    return changed


def area(fractions: list[float], values: list[float]) -> float:
    total = 0.0
    for k in range(1, len(values)):
        total += (fractions[k] - fractions[k - 1]) * (values[k] + values[k - 1]) / 2
    return total / (fractions[-1] - fractions[0])


def deletion(
    model: Model, picture: Array, label: int, grid: Array, fill: Array, size: tuple[int, int],
    steps: int,
) -> tuple[list[float], float]:  # fmt: skip
    patches = order(grid)
    counts = [round(k * len(patches) / steps) for k in range(steps + 1)]
    values = [probability(model, put(picture, fill, patches[:n], size), label) for n in counts]
    return values, area([n / len(patches) for n in counts], values)


def insertion(
    model: Model, picture: Array, label: int, grid: Array, fill: Array, size: tuple[int, int],
    steps: int,
) -> tuple[list[float], float]:  # fmt: skip
    patches = order(grid)
    counts = [round(k * len(patches) / steps) for k in range(steps + 1)]
    values = [probability(model, put(fill, picture, patches[:n], size), label) for n in counts]
    return values, area([n / len(patches) for n in counts], values)


def perturbation(
    model: Model, picture: Array, label: int, grid: Array, fill: Array, size: tuple[int, int],
    negative: bool,
) -> tuple[list[float], float]:  # fmt: skip
    patches = order(-grid if negative else grid)
    fractions = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    values = []
    for tenths in range(1, 10):
        hidden = patches[: len(patches) * tenths // 10]
        values.append(is_first(model, put(picture, fill, hidden, size), label))
    return values, area(fractions, values)


def bilinear(grid: Array, height: int, width: int) -> Array:
    """Pixel centres on patch centres; beyond the outer centres the map goes on as it ends."""
    rows, cols = grid.shape
    large = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = max(0.0, (y + 0.5) * rows / height - 0.5)
            u = max(0.0, (x + 0.5) * cols / width - 0.5)
            top, left = min(int(v), rows - 1), min(int(u), cols - 1)
            below, right = min(top + 1, rows - 1), min(left + 1, cols - 1)
            b, a = v - top, u - left
            large[y, x] = (
                (1 - b) * ((1 - a) * grid[top, left] + a * grid[top, right])
                + b * ((1 - a) * grid[below, left] + a * grid[below, right])
            )  # fmt: skip
    return large


def seen_through(picture: Array, heat: Array, fill: Array) -> Array:
    share = (heat - heat.min()) / (heat.max() - heat.min())
    return share * picture + (1 - share) * fill


def average_drop(model: Model, picture: Array, label: int, heat: Array, fill: Array) -> float:
    whole = probability(model, picture, label)
    shown = probability(model, seen_through(picture, heat, fill), label)
    return max(0.0, whole - shown) / whole


def blur(picture: Array, sigma: tuple[float, float]) -> Array:
    """Every pixel the weighted mean of those around it; the edge goes on for ever."""
    _, height, width = picture.shape
    result = np.zeros_like(picture)
    reach = [math.ceil(3 * s) for s in sigma]
    down = [math.exp(-(d**2) / (2 * sigma[0] ** 2)) for d in range(-reach[0], reach[0] + 1)]
    across = [math.exp(-(d**2) / (2 * sigma[1] ** 2)) for d in range(-reach[1], reach[1] + 1)]
    weights = np.outer(down, across)
    weights /= weights.sum()
    for y in range(height):
        for x in range(width):
            ys = np.clip(np.arange(y - reach[0], y + reach[0] + 1), 0, height - 1)
            xs = np.clip(np.arange(x - reach[1], x + reach[1] + 1), 0, width - 1)
            result[:, y, x] = (picture[:, ys][:, :, xs] * weights).sum((1, 2))
    return result


def pointing(heat: Array, mask: NDArray[np.bool_]) -> float:
    top = [p for p in np.ndindex(heat.shape) if heat[p] == heat.max()]
    return sum(bool(mask[p]) for p in top) / len(top)


def iou_mean(heat: Array, mask: NDArray[np.bool_]) -> float:
    marked = heat > heat.mean()
    return float((marked & mask).sum() / (marked | mask).sum())


def iou_best(heat: Array, mask: NDArray[np.bool_]) -> float:
    return max(
        float(((heat >= t) & mask).sum() / ((heat >= t) | mask).sum()) for t in np.unique(heat)
    )


def energy(heat: Array, mask: NDArray[np.bool_]) -> float:
    scaled = (heat - heat.min()) / (heat.max() - heat.min())
    return float(scaled[mask].sum() / scaled.sum())


def spearman(first: Array, second: Array) -> float:
    def ranks(values: Array) -> Array:
        return np.array([
            1 + sum(other < v for other in values) + (sum(other == v for other in values) - 1) / 2
            for v in values
        ])  # fmt: skip

    return float(np.corrcoef(ranks(first.flatten()), ranks(second.flatten()))[0, 1])
