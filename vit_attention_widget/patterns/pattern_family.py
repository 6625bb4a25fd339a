"""What was learnt of one family of attention."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ParameterError
from .autoencoder import Autoencoder, encode_all
from .clusters import Cluster
from .layout import place
from .pooled_heads import PATCHES, Family, HeadBlocks

__all__ = ["PatternFamily", "Placed", "as_pattern"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """Heads placed on a map that was made of others.

    Attributes
    ----------
    heads : array
        [head, 3]: image, layer, head.
    points : array
        [head, 2], on the map.
    labels : array
        [head], cluster of each.
    codes : array
        [head, latent].
    patterns : array
        [head, height, width], their own attention, pooled.
    """

    heads: NDArray[np.int64]
    points: Floats
    labels: NDArray[np.int64]
    codes: Floats
    patterns: Floats


@dataclass(frozen=True)
class PatternFamily:
    """Patterns of one family: attention among patches, or of and to the class token.

    Attributes
    ----------
    family : Family
    heads : array
        [point, 3]: image, layer and head of each point.
    embedding : array
        [point, 2], the map, within [-1, 1].
    codes : array
        [point, latent], where similar heads lie near each other.
    labels : array
        [point], cluster of each.
    scores : array
        [point, score], see :func:`~.pooled_heads.head_blocks`.
    clusters : list of Cluster
    error, pca_error : float
        Mean squared error on heads of images that were left out, and that of PCA with as many
        dimensions.
    stability : float
        Mean adjusted Rand index of the clusters found with other seeds; NaN if not measured.
    """

    family: Family
    autoencoder: Autoencoder = field(repr=False)
    heads: NDArray[np.int64] = field(repr=False)
    embedding: Floats = field(repr=False)
    codes: Floats = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    scores: Floats = field(repr=False)
    clusters: list[Cluster] = field(repr=False)
    error: float
    pca_error: float
    stability: float

    def __len__(self) -> int:
        return len(self.heads)

    def nearest(
        self, layer: int, head: int, image: int | None = None, count: int | None = 5
    ) -> list[tuple[int, int, float]]:
        """Heads like this one: (layer, head, distance of their mean codes), the nearest first.

        Parameters
        ----------
        layer, head : int
        image : int, optional
            Compare on this image only.
        count : int, optional
            None gives all.

        Raises
        ------
        ParameterError
            If the head or image does not exist.
        """
        names, means = self._means(image)
        this = np.flatnonzero((names == (layer, head)).all(1))
        if not len(this):
            raise ParameterError(
                f"There is no head {head} in layer {layer}"
                + ("" if image is None else f" of image {image}")
                + f" among the {len(self.heads)} heads of this map."
            )
        distance = np.linalg.norm(means - means[this[0]], axis=1)
        order = [i for i in np.argsort(distance, kind="stable") if i != this[0]][:count]
        return [(int(names[i, 0]), int(names[i, 1]), float(distance[i])) for i in order]

    def distances(self) -> Floats:
        """Distances of the mean codes of all heads, [head, head], in the order of layers."""
        means = self._means(None)[1]
        return np.asarray(np.linalg.norm(means[:, None] - means, axis=-1), np.float32)

    def _means(self, image: int | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(layer, head) of all heads, and their mean codes over the images."""
        chosen = slice(None) if image is None else self.heads[:, 0] == image
        names, which = np.unique(self.heads[chosen][:, 1:], axis=0, return_inverse=True)
        means = np.zeros((len(names), self.codes.shape[1]))
        np.add.at(means, which.ravel(), self.codes[chosen])
        return names, means / np.bincount(which.ravel())[:, None]

    def reconstruct(self, layer: int, head: int, image: int = 0) -> Floats:
        """Pooled attention of a head as its code remembers it; shaped as a cluster's pattern.

        Raises
        ------
        ParameterError
            If the head or image does not exist.
        """
        found = np.flatnonzero((self.heads == (image, layer, head)).all(1))
        if not len(found):
            raise ParameterError(
                f"There is no head {head} in layer {layer} of image {image} on this map."
            )
        return self.decoded(self.codes[found])[0]

    def decoded(self, codes: Floats) -> Floats:
        """Pooled attention of codes, [point, height, width]."""
        with torch.no_grad():
            vectors = self.autoencoder.decode(torch.from_numpy(codes))
        return as_pattern(vectors.numpy(), self.family)

    def place(self, blocks: HeadBlocks) -> Placed:
        """Place other heads on the map, between those most like them."""
        codes = encode_all(self.autoencoder, blocks.levels).numpy()
        points, nearest = place(codes, self.codes, self.embedding)
        return Placed(
            blocks.heads.numpy(),
            points,
            self.labels[nearest],
            codes,
            as_pattern(blocks.vectors.float().numpy(), self.family),
        )


def as_pattern(vectors: Floats, family: Family) -> Floats:
    """Attention as a picture, [head, height, width], of the vectors that describe it.

    [query cell, key cell] among patches; for the class token the share that each cell gets beside
    the mean attention that each gives.
    """
    attention = np.square(np.clip(vectors, 0, 1), dtype=np.float32)
    cells = family.grid**2
    if family is PATCHES:
        return attention.reshape(-1, cells, cells)
    sides = attention[:, : 2 * cells].reshape(-1, 2, family.grid, family.grid)
    sides = sides * np.array([1, cells], np.float32)[:, None, None]
    return np.concatenate([sides[:, 0], sides[:, 1]], axis=-1)
