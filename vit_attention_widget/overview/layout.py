"""From the importance of heads for each image to a place in the plane."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..patterns.layout import lay_out
from .result import Layout

__all__ = ["NOISE", "arrange", "in_order", "vectors"]

_FEW = 12
"""Fewer vectors are shown by their principal components: t-SNE needs neighbors."""

NOISE = 1e-5
"""A head that varies less, as a share of the largest value, varies by rounding only."""

Floats = NDArray[np.float32]


def vectors(values: Tensor) -> Floats:
    """Importance [image, layer, head] as vectors that can be compared, [image, dim].

    Square roots with their sign, each head centered and divided by its standard deviation plus the
    mean one: see :func:`~.run.image_overview` for why.
    """
    flat = values.detach().flatten(1).cpu().numpy().astype(np.float64)
    flat = np.nan_to_num(flat[:, ~np.isnan(flat).all(0)])  # NaN where a layer has fewer heads
    flat = flat[:, flat.std(0) > NOISE * np.abs(flat).max(initial=0)]
    flat = np.sign(flat) * np.sqrt(np.abs(flat))
    flat = flat - flat.mean(0)
    spread = flat.std(0)
    scale = spread + (spread.mean() if spread.size else 0)
    return np.asarray(flat / np.where(scale > 0, scale, 1), np.float32)


def arrange(vectors: Floats, seed: int, progress: Callable[[float], None]) -> tuple[Floats, Layout]:
    """Vectors as points within [-1, 1], [image, 2], and what the points are."""
    if np.abs(vectors).max(initial=0) < 1e-6:  # nothing tells them apart
        return in_order(len(vectors)), "in order"
    arranges = len(vectors) >= _FEW and importlib.util.find_spec("openTSNE") is not None
    if arranges:
        return lay_out(vectors, seed, progress), "t-SNE"
    u, s, turn = np.linalg.svd(vectors, full_matrices=False)
    main = (u * s * np.sign(turn.sum(1)))[:, :2]  # a component's sign means nothing: fix it
    points = np.zeros((len(vectors), 2))
    points[:, : main.shape[1]] = main
    points -= (points.min(0) + points.max(0)) / 2
    return np.asarray(points / np.abs(points).max(), np.float32), "principal components"


def in_order(number: int) -> Floats:
    """Points on a grid, row by row from the top left."""
    across = max(1, math.ceil(math.sqrt(number)))
    row, col = np.divmod(np.arange(number), across)
    step = 2 / max(1, across - 1)
    points = np.stack([col * step - 1, 1 - row * step], 1) if number > 1 else np.zeros((number, 2))
    return np.asarray(points, np.float32)
