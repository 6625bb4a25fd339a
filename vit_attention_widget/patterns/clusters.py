"""Groups of heads that attend alike, and names for what each group does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .family_spec import FamilySpec
from .layout import Floats
from .libraries import pattern_library

__all__ = ["Cluster", "Labels", "adjusted_rand_index", "describe_clusters", "find_clusters"]

Labels = NDArray[np.int64]

_SAMPLE = 20_000
"""k-means is fitted to at most so many codes."""

_CANDIDATES = 16
"""Clusters before those with the same name become one."""

_CLEAR = 0.4
"""From this score on a role is named without reserve."""

_LIFT, _FAINT = 0.08, 0.2
"""A second role is named if its score is so far above that of all heads, and above this."""


@dataclass(frozen=True)
class Cluster:
    """Heads that attend alike.

    Attributes
    ----------
    name : str
        What they do, e.g. ``"self"`` or ``"uniform, toward row"``.
    scores : dict
        Mean score of its heads for every role, in [0, 1].
    size : int
        Number of heads, those of every image counted.
    layers : dict
        How many of them are in each layer.
    pattern : array
        Mean attention: [query cell, key cell] in the family ``patches``; in ``class`` what the
        class token attends to and what attends to it, [cell row, 2 x cell column].
    """

    name: str
    scores: dict[str, float]
    size: int
    layers: dict[int, int]
    pattern: Floats = field(repr=False)


def find_clusters(
    codes: Floats, scores: Floats, family: FamilySpec, seed: int, count: int | None
) -> Labels:
    """Cluster heads by k-means on their codes.

    Parameters
    ----------
    codes : array
        [head, dim].
    scores : array
        [head, role].
    family : FamilySpec
    seed : int
    count : int, optional
        How many clusters; by default many are made, and those with the same name become one.

    Returns
    -------
    array
        [head], the number of each head's cluster; 0 is the largest.
    """
    distinct = len(np.unique(codes.round(4), axis=0))
    rng = np.random.default_rng(seed)
    sample = codes[rng.permutation(len(codes))[:_SAMPLE]]
    k_means = pattern_library("sklearn.cluster").KMeans(
        min(count or _CANDIDATES, distinct), n_init=4, random_state=seed
    )
    labels = _largest_first(np.asarray(k_means.fit(sample).predict(codes), np.int64))
    return labels if count else _merge_by_name(labels, scores, family)


def adjusted_rand_index(one: Labels, other: Labels) -> float:
    """Adjusted Rand index (ARI) of two clusterings: 1 for the same, 0 on average by chance."""
    return float(pattern_library("sklearn.metrics").adjusted_rand_score(one, other))


def describe_clusters(
    labels: Labels, scores: Floats, layers: NDArray[np.int64], patterns: list[Floats],
    family: FamilySpec,
) -> list[Cluster]:  # fmt: skip
    """Name each cluster by the main role of its heads, and by one that stands out beside it.

    Parameters
    ----------
    labels, layers : array
        [head].
    scores : array
        [head, role].
    patterns : list of array
        Mean pattern of each cluster.
    family : FamilySpec
    """
    overall = scores.mean(0)
    clusters: list[Cluster] = []
    uses: dict[str, int] = {}
    for label, pattern in enumerate(patterns):
        inside = labels == label
        mean = scores[inside].mean(0)
        name = _name(mean, overall, family)
        uses[name] = uses.get(name, 0) + 1
        if uses[name] > 1:
            name = f"{name} ({uses[name]})"
        numbers, counts = np.unique(layers[inside], return_counts=True)
        clusters.append(
            Cluster(
                name,
                {role: float(score) for role, score in zip(family.roles, mean, strict=True)},
                int(inside.sum()),
                {int(n): int(c) for n, c in zip(numbers, counts, strict=True)},
                pattern,
            )
        )
    return clusters


def _merge_by_name(labels: Labels, scores: Floats, family: FamilySpec) -> Labels:
    overall = scores.mean(0)
    names = [_name(scores[labels == k].mean(0), overall, family) for k in range(labels.max() + 1)]
    first = [names.index(name) for name in names]
    return _largest_first(np.asarray(first)[labels])


def _largest_first(labels: Labels) -> Labels:
    _, labels = np.unique(labels, return_inverse=True)
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[labels]


def _name(mean: Floats, overall: Floats, family: FamilySpec) -> str:
    """What to call heads with these mean scores [role], given those of all heads."""
    first = int(mean.argmax())
    name = family.roles[first]
    lift = np.where(mean > _FAINT, mean - overall, -1)
    lift[first] = -1
    second = int(lift.argmax())
    if mean[first] < _CLEAR:
        name = f"mixed, mostly {name}"
    if lift[second] > _LIFT:
        name = f"{name}, toward {family.roles[second]}"
    return name
