"""How values are spread, counted as they come, whatever their range turns out to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Histogram"]

_HALF = 64
"""Bins on either side of 0; of what was counted at least a half of them, as ranges double."""


class Histogram:
    """Counts for each head, in even bins of the square root of its values, sign kept.

    Most heads do next to nothing for most images: square roots let one see what is near 0. The
    range doubles where a value lies beyond it, and two bins become one, so that chunks of images
    are counted once and none is held.

    Parameters
    ----------
    dim : int
        Number of heads.

    Attributes
    ----------
    counts : array
        [head, bin]; bins run from -``reach`` to ``reach``.
    reach : float
        Square root of the largest value that has a bin.
    """

    def __init__(self, dim: int) -> None:
        self.counts = np.zeros((dim, 2 * _HALF), np.int64)
        self.reach = 2.0**-10

    def add(self, roots: NDArray[np.float64], there: NDArray[np.bool_]) -> None:
        """Add images: roots of their values, and whether there is a value, [image, head]."""
        most = np.abs(roots).max(initial=0)
        while most > self.reach:
            self._double()
        bins = np.floor((roots / self.reach + 1) * _HALF).astype(np.int64)
        bins = np.clip(bins, 0, 2 * _HALF - 1)
        bins += np.arange(roots.shape[1]) * 2 * _HALF
        counts = np.bincount(bins[there], minlength=self.counts.size)
        self.counts += counts.reshape(self.counts.shape)

    def _double(self) -> None:
        pairs = self.counts.reshape(len(self.counts), -1, 2).sum(-1)
        self.counts = np.pad(pairs, ((0, 0), (_HALF // 2, _HALF // 2)))
        self.reach *= 2

    def used(self) -> tuple[NDArray[np.int64], float, float]:
        """Bins from the first to the last with anything in it, and the roots where these end."""
        bins, width = self.filled(), self.reach / _HALF
        return self.counts[:, bins], (bins.start - _HALF) * width, (bins.stop - _HALF) * width

    def filled(self) -> slice:
        """The bins from the first to the last with anything in it."""
        filled = np.flatnonzero(self.counts.sum(0))
        return (
            slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(_HALF, _HALF + 1)
        )
