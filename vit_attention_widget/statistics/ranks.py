"""Ranks of values, and Spearman's correlation of maps by the ranks of their patches."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["average_ranks", "paired_rank_correlation", "rank_correlation"]


def rank_correlation(maps: NDArray[np.generic]) -> NDArray[np.float64]:
    """Spearman's rank correlation of every map [map, ...] with every other, [map, map].

    Equal values share the mean of their ranks. NaN where a map is constant or holds NaN.
    """
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    ranks = np.stack([average_ranks(values) for values in flat])
    centered = ranks - ranks.mean(1, keepdims=True)
    length = np.sqrt((centered**2).sum(1, keepdims=True))
    comparable = np.isfinite(flat).all(1) & (length[:, 0] > 0)
    unit = np.divide(centered, length, out=np.zeros_like(centered), where=length > 0)
    correlation: NDArray[np.float64] = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(correlation, 1)
    correlation[~comparable] = correlation[:, ~comparable] = np.nan
    return correlation


def paired_rank_correlation(original: Tensor, changed: Tensor) -> Tensor:
    """Spearman's rank correlation of each original map with the changed one, [batch].

    Equal values share the mean of their ranks.

    Parameters
    ----------
    original, changed : Tensor
        [batch, ...], of one shape.

    Returns
    -------
    Tensor
        [batch], float64. NaN where the original map is constant; 0 where only the changed one is:
        nothing of the original is left.
    """
    first, second = (
        torch.from_numpy(np.stack([average_ranks(each) for each in maps.flatten(1).cpu().numpy()]))
        for maps in (original, changed)
    )
    first = first - first.mean(1, keepdim=True)
    second = second - second.mean(1, keepdim=True)
    spread = (first.square().sum(1) * second.square().sum(1)).sqrt()
    product = (first * second).sum(1)
    correlation = torch.where(spread > 0, product / spread.clamp_min(1e-300), 0).clamp(-1, 1)
    return torch.where(first.square().sum(1) > 0, correlation, torch.nan)


def average_ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Ranks of values [n], from 1 on; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[which.reshape(-1)])
