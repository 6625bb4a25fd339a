"""Sums of what heads do for the images of each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ByClass"]

Doubles = NDArray[np.float64]


class ByClass:
    """Sums and numbers of values for each class and head; images without a class are class -1.

    Attributes
    ----------
    images : array
        [1 + class], how many images there are.
    """

    def __init__(self, dim: int) -> None:
        self.images = np.zeros(0, np.int64)
        self._sums, self._known = np.zeros((0, dim)), np.zeros((0, dim))

    def add(self, flat: NDArray[np.float32], classes: NDArray[np.int64]) -> None:
        """Add images [image, head], NaN where there is no such head, and the class of each."""
        if not len(flat):
            return
        more = int(classes.max(initial=-1)) + 2 - len(self.images)
        if more > 0:
            self.images = np.pad(self.images, (0, more))
            self._sums, self._known = (
                np.pad(sums, ((0, more), (0, 0))) for sums in (self._sums, self._known)
            )
        order = np.argsort(classes, kind="stable")
        rows, starts, counts = np.unique(classes[order] + 1, return_index=True, return_counts=True)
        there = np.isfinite(flat)[order]
        self.images[rows] += counts
        self._known[rows] += np.add.reduceat(there.astype(np.float64), starts, axis=0)
        self._sums[rows] += np.add.reduceat(np.where(there, flat[order], 0.0), starts, axis=0)

    def mean(self, of_class: int | None = None) -> Doubles:
        """Mean over all images, or over those of a class, [head]; NaN where there is none."""
        row = slice(None) if of_class is None else slice(of_class + 1, of_class + 2)
        sums, counts = self._sums[row].sum(0), self._known[row].sum(0)
        return np.asarray(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))

    def counts(self) -> list[tuple[int, int]]:
        """Each class that images are of, with how many are; the most frequent first."""
        pairs = [(index, count) for index, count in enumerate(self.images[1:].tolist()) if count]
        return sorted(pairs, key=lambda pair: -pair[1])
