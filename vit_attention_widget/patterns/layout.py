"""Codes as points of the plane, and new codes among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

__all__ = ["lay_out", "needed", "place"]

Floats = NDArray[np.float32]

_MOST = 20_000
"""Points that t-SNE arranges; of more, a random part, and the others are placed among them."""

_NEAREST = 5


def lay_out(
    codes: Floats, seed: int, progress: Callable[[float], None] = lambda fraction: None
) -> Floats:
    """Arrange codes [point, dim] in the plane by t-SNE (openTSNE), into [-1, 1]; [point, 2].

    Few points are arranged by their first two dimensions. The same seed gives the same map.
    """
    count = len(codes)
    if count < 12:
        flat = np.zeros((count, 2), np.float32)
        flat[:, : min(2, codes.shape[1])] = codes[:, :2]
        return _scaled(flat)
    tsne = needed("openTSNE")
    some = np.arange(count)
    if count > _MOST:
        some = np.sort(np.random.default_rng(seed).permutation(count)[:_MOST])

    def report(iteration: int, *_: Any) -> bool:
        progress(min(1.0, iteration / 500))
        return False

    arranged = tsne.TSNE(
        perplexity=min(30.0, (len(some) - 1) / 3),
        initialization="pca",
        neighbors="exact" if len(some) < 2000 else "approx",
        random_state=seed,
        n_jobs=2,
        callbacks=[report],
        callbacks_every_iters=50,
    ).fit(codes[some])
    points = np.empty((count, 2), np.float32)
    points[some] = _scaled(np.asarray(arranged, np.float32))
    others = np.setdiff1d(np.arange(count), some)
    if len(others):
        points[others], _ = place(codes[others], codes[some], points[some])
    return points


def place(new: Floats, codes: Floats, points: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Place new codes between the points of the most similar ones, the nearer the closer.

    Returns
    -------
    points : array
        [new, 2].
    nearest : array
        [new], number of the most similar code.
    """
    neighbors = needed("sklearn.neighbors").NearestNeighbors(n_neighbors=min(_NEAREST, len(codes)))
    distance, index = neighbors.fit(codes).kneighbors(new)
    weight = 1 / (distance**2 + 1e-12)
    weight /= weight.sum(1, keepdims=True)
    placed = (points[index] * weight[..., None]).sum(1)
    return np.asarray(placed, np.float32), index[:, 0]


def needed(name: str) -> Any:
    """A module of the optional libraries that arrange and cluster."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ParameterError(
            f"Attention patterns need scikit-learn and openTSNE ({error}): "
            "install vit-attention-widget[patterns]."
        ) from error


def _scaled(points: Floats) -> Floats:
    """Centred, the same scale for both axes, the farthest at 1."""
    low, high = points.min(0), points.max(0)
    reach = float((high - low).max()) / 2 or 1.0
    return np.asarray((points - (low + high) / 2) / reach, np.float32)
