"""The plane of an overview from sums alone: principal components of images that come in chunks.

The vectors are those of :func:`~..layout.vectors`: square roots with their sign, each head centered
and divided by its standard deviation plus the mean one. What that needs of all images are sums of
values and of products of two, so images are added chunk by chunk and need not be held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..layout import NOISE

__all__ = ["Moments", "Plane", "rooted"]

Doubles = NDArray[np.float64]


def rooted(values: NDArray[np.float32]) -> Doubles:
    """Square roots with their sign, [image, dim]; 0 where a layer has fewer heads."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    flat = np.where(np.isfinite(flat), flat, 0.0)
    return np.asarray(np.copysign(np.sqrt(np.abs(flat)), flat))


@dataclass(frozen=True, eq=False)
class Plane:
    """Two directions among heads.

    Attributes
    ----------
    center : array
        [dim], of rooted values.
    directions : array
        [dim, 2].
    share : float
        Of the images' variance, 0 to 1.
    """

    center: Doubles
    directions: Doubles
    share: float

    def places(self, roots: Doubles) -> NDArray[np.float32]:
        """Rooted values [image, dim] as points, [image, 2]."""
        return np.asarray((roots - self.center) @ self.directions, np.float32)


class Moments:
    """Sums over images of what heads do for them."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._sums, self._squares = np.zeros(dim), np.zeros(dim)  # of the values themselves
        self._largest = 0.0
        self._roots, self._products = np.zeros(dim), np.zeros((dim, dim))

    def add(self, roots: Doubles) -> None:
        """Add images by their rooted values, [image, dim]."""
        flat = roots * np.abs(roots)
        self.count += len(roots)
        self._sums += flat.sum(0)
        self._squares += (flat**2).sum(0)
        self._largest = max(self._largest, float(np.abs(flat).max(initial=0)))
        self._roots += roots.sum(0)
        self._products += roots.T @ roots

    def plane(self, before: Plane | None = None) -> Plane:
        """The two main components; a sign means nothing, so each stays as it was ``before``."""
        n = max(1, self.count)
        mean = self._roots / n
        covariance = self._products / n - np.outer(mean, mean)
        variance = self._squares / n - (self._sums / n) ** 2
        varies = np.sqrt(np.maximum(variance, 0)) > NOISE * self._largest
        spread = np.sqrt(np.maximum(covariance.diagonal(), 0))
        scale = np.where(varies, spread + (spread[varies].mean() if varies.any() else 0), 1)
        weight = varies / np.where(scale > 0, scale, 1)
        values, vectors = np.linalg.eigh(covariance * np.outer(weight, weight))
        main = vectors[:, :-3:-1]
        if main.shape[1] < 2:
            main = np.pad(main, ((0, 0), (0, 2 - main.shape[1])))
        directions = main * weight[:, None]
        along = main.sum(0) if before is None else (directions * before.directions).sum(0)
        directions = directions * np.where(along < 0, -1, 1)
        all_of_it = values.sum()
        share = values[-2:].sum() / all_of_it if all_of_it > 0 else 0.0
        return Plane(mean, directions, float(share))
