"""Ranks of values, and how far two maps rank their patches alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["average_ranks", "rank_correlation"]


def rank_correlation(maps: NDArray[Any]) -> NDArray[np.float64]:
    """Spearman's rank correlation of each map [item, ...] with each other, [item, item].

    Equal values share the mean of their ranks. NaN where a map is the same everywhere, or holds
    NaN.
    """
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    ranks = np.stack([average_ranks(values) for values in flat])
    centered = ranks - ranks.mean(1, keepdims=True)
    length = np.sqrt((centered**2).sum(1, keepdims=True))
    known = np.isfinite(flat).all(1) & (length[:, 0] > 0)
    unit = np.divide(centered, length, out=np.zeros_like(centered), where=length > 0)
    found = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(found, 1)
    found[~known] = found[:, ~known] = np.nan
    return found


def average_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1 on of values [n]; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[which.reshape(-1)])
