"""Groups of heads that attend alike, and names for what each group does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .layout import needed
from .pooled_heads import Family

__all__ = ["Cluster", "agreement", "describe_clusters", "find_clusters", "merge_namesakes"]

Floats = NDArray[np.float32]

_SAMPLE = 20_000
_STRONG = 0.4
_LEANING, _FAINT = 0.08, 0.2


@dataclass(frozen=True)
class Cluster:
    """Heads that attend alike.

    Attributes
    ----------
    name : str
        What they do, e.g. ``"self"`` or ``"uniform, towards row"``.
    scores : dict
        Mean score of its heads for everything that a head can do, in [0, 1].
    size : int
        Number of heads, those of every image counted.
    layers : dict
        How many of them lie in each layer.
    pattern : array
        Mean attention: [query cell, key cell] in the family ``patches``; in ``class``, what is
        looked at beside who looks, [cell row, 2 x cell column].
    """

    name: str
    scores: dict[str, float]
    size: int
    layers: dict[int, int]
    pattern: Floats = field(repr=False)


def find_clusters(codes: Floats, seed: int, count: int) -> NDArray[np.int64]:
    """Cluster codes [point, dim] by k-means; [point], the largest cluster first."""
    distinct = len(np.unique(codes.round(4), axis=0))
    rng = np.random.default_rng(seed)
    sample = codes[rng.permutation(len(codes))[:_SAMPLE]]
    means = needed("sklearn.cluster").KMeans(min(count, distinct), n_init=4, random_state=seed)
    return _largest_first(np.asarray(means.fit(sample).predict(codes), np.int64))


def merge_namesakes(labels: NDArray[np.int64], scores: Floats, family: Family) -> NDArray[np.int64]:
    """Clusters of which the same can be said, as one."""
    usual = scores.mean(0)
    names = [_name(scores[labels == k].mean(0), usual, family) for k in range(labels.max() + 1)]
    first = [names.index(name) for name in names]
    return _largest_first(np.asarray(first)[labels])


def _largest_first(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    _, labels = np.unique(labels, return_inverse=True)
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[labels]


def agreement(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Adjusted Rand index of two clusterings: 1 the same, 0 as by chance."""
    return float(needed("sklearn.metrics").adjusted_rand_score(one, other))


def describe_clusters(
    labels: NDArray[np.int64],
    scores: Floats,
    layers: NDArray[np.int64],
    patterns: list[Floats],
    family: Family,
) -> list[Cluster]:
    """Name each cluster by what its heads do most, and by what more than the others.

    Parameters
    ----------
    labels, layers : array
        [head].
    scores : array
        [head, score].
    patterns : list of array
        Mean pattern of each cluster.
    family : Family
    """
    usual = scores.mean(0)
    found: list[Cluster] = []
    taken: dict[str, int] = {}
    for label, pattern in enumerate(patterns):
        inside = labels == label
        mean = scores[inside].mean(0)
        name = _name(mean, usual, family)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name = f"{name} ({taken[name]})"
        numbers, counts = np.unique(layers[inside], return_counts=True)
        found.append(
            Cluster(
                name,
                {key: float(v) for key, v in zip(family.scores, mean, strict=True)},
                int(inside.sum()),
                {int(n): int(c) for n, c in zip(numbers, counts, strict=True)},
                pattern,
            )
        )
    return found


def _name(mean: Floats, usual: Floats, family: Family) -> str:
    first = int(mean.argmax())
    name = family.scores[first]
    lift = np.where(mean > _FAINT, mean - usual, -1)
    lift[first] = -1
    second = int(lift.argmax())
    if mean[first] < _STRONG:
        name = f"mixed, mostly {name}"
    if lift[second] > _LEANING:
        name = f"{name}, towards {family.scores[second]}"
    return name
