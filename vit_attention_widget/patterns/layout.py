"""Codes as points of the plane, and new codes among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .libraries import pattern_library

__all__ = ["Floats", "lay_out", "place"]

Floats: TypeAlias = NDArray[np.float32]

_MOST = 20_000
"""Points that t-SNE arranges at most; the others are placed among them."""

_FEWEST = 12
"""Fewer points than this are arranged by their first two dimensions."""

_FEW = 2000
"""Fewer points than this are arranged by one thread: two would spend their time on waiting."""

_NEAREST = 5


def lay_out(
    codes: Floats, seed: int, progress: Callable[[float], None] = lambda fraction: None
) -> Floats:
    """Arrange codes [point, dim] in the plane by t-SNE (openTSNE), into [-1, 1]; [point, 2].

    The same seed gives the same map.
    """
    count = len(codes)
    if count < _FEWEST:
        plane = np.zeros((count, 2), np.float32)
        plane[:, : min(2, codes.shape[1])] = codes[:, :2]
        return _scaled(plane)
    tsne = pattern_library("openTSNE")
    sample = np.arange(count)
    if count > _MOST:
        sample = np.sort(np.random.default_rng(seed).permutation(count)[:_MOST])

    def report(iteration: int, *_: object) -> bool:
        progress(min(1.0, iteration / 500))
        return False

    arranged = tsne.TSNE(
        perplexity=min(30.0, (len(sample) - 1) / 3),
        initialization="pca",
        neighbors="exact" if len(sample) < _FEW else "approx",
        random_state=seed,
        n_jobs=1 if len(sample) < _FEW else 2,
        callbacks=[report],
        callbacks_every_iters=50,
    ).fit(codes[sample])
    points = np.empty((count, 2), np.float32)
    points[sample] = _scaled(np.asarray(arranged, np.float32))
    others = np.setdiff1d(np.arange(count), sample)
    if len(others):
        points[others], _ = place(codes[others], codes[sample], points[sample])
    return points


def place(new: Floats, codes: Floats, points: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Place new codes between the points with the most similar codes, weighted by similarity.

    Returns
    -------
    points : array
        [new, 2].
    nearest : array
        [new], index of the most similar code.
    """
    library = pattern_library("sklearn.neighbors")
    neighbors = library.NearestNeighbors(n_neighbors=min(_NEAREST, len(codes)))
    distance, index = neighbors.fit(codes).kneighbors(new)
    weight = 1 / (distance**2 + 1e-12)
    weight /= weight.sum(1, keepdims=True)
    placed = (points[index] * weight[..., None]).sum(1)
    return np.asarray(placed, np.float32), index[:, 0]


def _scaled(points: Floats) -> Floats:
    """Centered, both axes on the same scale, the farthest at 1."""
    low, high = points.min(0), points.max(0)
    reach = float((high - low).max()) / 2 or 1.0
    return np.asarray((points - (low + high) / 2) / reach, np.float32)
