"""The patterns of one family: a map of all heads, with clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError
from ..results.heat_map import heat_maps
from ..results.html import block, table
from ..results.named_values import NamedValues, Variable
from ..results.storage import JsonObject
from ..support.deprecation import renamed_attribute
from .autoencoder import Autoencoder, encode_all
from .clusters import Cluster
from .family_spec import FAMILIES, FamilySpec
from .layout import Floats, place
from .map_points import plot_points, point_variables
from .pictures import as_pictures
from .placed_heads import PlacedHeads
from .pooled_heads import PooledHeads

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PatternFamily"]

_ARRAYS = ("heads", "embedding", "codes", "labels", "scores")


@dataclass(frozen=True, eq=False)
class PatternFamily(NamedValues):
    """Patterns of one family: attention among patches, or of and to the class token.

    Attributes
    ----------
    family : FamilySpec
    heads : array
        [point, 3]: image, layer and head of each point.
    embedding : array
        [point, 2], the map, within [-1, 1]; ``.values`` as a tensor.
    codes : array
        [point, dim]; similar heads have similar codes.
    labels : array
        [point], cluster of each.
    scores : array
        [point, role], see :func:`~.pooled_heads.pool_heads`.
    clusters : list of Cluster
    reconstruction_error, pca_error : float
        Mean squared error of the autoencoder on held-out heads, and that of PCA with as many
        dimensions.
    stability : float
        Mean adjusted Rand index (ARI) between the clusterings learned with different seeds; NaN if
        not measured.
    """

    kind = "pattern family"
    axes = ("point", "coordinate")
    table_axes = ("point",)

    family: FamilySpec
    autoencoder: Autoencoder = field(repr=False)
    heads: NDArray[np.int64] = field(repr=False)
    embedding: Floats = field(repr=False)
    codes: Floats = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    scores: Floats = field(repr=False)
    clusters: list[Cluster] = field(repr=False)
    reconstruction_error: float
    pca_error: float
    stability: float

    error = renamed_attribute("reconstruction_error")

    def __len__(self) -> int:
        """Number of points."""
        return len(self.heads)

    @property
    def values(self) -> Tensor:
        """[point, coordinate], where each head lies on the map."""
        return torch.from_numpy(self.embedding)

    def summary(self) -> str:
        """Size, reconstruction error and cluster stability in a line."""
        gain = 1 - self.reconstruction_error / self.pca_error if self.pca_error else 0.0
        stable = (
            "" if np.isnan(self.stability) else f", cluster stability (ARI) {self.stability:.2f}"
        )
        return f"{len(self)} heads, reconstruction error {gain:.0%} below PCA{stable}"

    # Heads that attend alike ----------------------------------------------------------------------

    def nearest(
        self, layer: int, head: int, image: int | None = None, count: int | None = 5
    ) -> list[tuple[int, int, float]]:
        """Heads with similar patterns: (layer, head, distance of their mean codes), nearest first.

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
            If the head or image is not on the map.
        """
        heads, means = self._mean_codes(image)
        this = np.flatnonzero((heads == (layer, head)).all(1))
        if not len(this):
            raise ParameterError(
                f"There is no head {head} in layer {layer}"
                + ("" if image is None else f" of image {image}")
                + f" among the {len(self.heads)} heads of this map."
            )
        distance = np.linalg.norm(means - means[this[0]], axis=1)
        order = [i for i in np.argsort(distance, kind="stable") if i != this[0]][:count]
        return [(int(heads[i, 0]), int(heads[i, 1]), float(distance[i])) for i in order]

    def distances(self) -> Floats:
        """Distances of the mean codes of all heads, [head, head], in the order of layers."""
        means = self._mean_codes(None)[1]
        return np.asarray(np.linalg.norm(means[:, None] - means, axis=-1), np.float32)

    def _mean_codes(self, image: int | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(layer, head) of all heads, and their mean codes over the images."""
        chosen = slice(None) if image is None else self.heads[:, 0] == image
        heads, index = np.unique(self.heads[chosen][:, 1:], axis=0, return_inverse=True)
        means = np.zeros((len(heads), self.codes.shape[1]))
        np.add.at(means, index.ravel(), self.codes[chosen])
        return heads, means / np.bincount(index.ravel())[:, None]

    # Patterns of codes, and places of other heads -------------------------------------------------

    def reconstruct(self, layer: int, head: int, image: int = 0) -> Floats:
        """Pooled attention of a head, decoded from its code; shaped as a cluster's pattern.

        Raises
        ------
        ParameterError
            If the head or image is not on the map.
        """
        point = np.flatnonzero((self.heads == (image, layer, head)).all(1))
        if not len(point):
            raise ParameterError(
                f"There is no head {head} in layer {layer} of image {image} on this map."
            )
        pattern: Floats = self.decoded(self.codes[point])[0]
        return pattern

    def decoded(self, codes: Floats) -> Floats:
        """Pooled attention of codes, [point, height, width]."""
        with torch.no_grad():
            vectors = self.autoencoder.decode(torch.from_numpy(codes))
        return as_pictures(vectors.numpy(), self.family)

    def place(self, pooled: PooledHeads) -> PlacedHeads:
        """Place other heads on the map, between those with the most similar codes."""
        codes = encode_all(self.autoencoder, pooled.levels).numpy()
        points, nearest = place(codes, self.codes, self.embedding)
        return PlacedHeads(
            pooled.heads.numpy(),
            points,
            self.labels[nearest],
            codes,
            as_pictures(pooled.vectors.float().numpy(), self.family),
            tuple(cluster.name for cluster in self.clusters),
        )

    # Pictures, tables and files -------------------------------------------------------------------

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map in the colors of the clusters. Needs matplotlib."""
        names = [cluster.name for cluster in self.clusters]
        return plot_points(self.embedding, self.labels, names, ax)

    def _repr_html_(self) -> str:
        patterns = torch.from_numpy(np.stack([cluster.pattern for cluster in self.clusters]))
        names = [cluster.name for cluster in self.clusters]
        columns: dict[str, Sequence[object]] = {
            "cluster": names,
            "heads": [cluster.size for cluster in self.clusters],
            **{
                role: [cluster.scores[role] for cluster in self.clusters]
                for role in self.family.roles
            },
        }
        title = f"Patterns of the family {self.family.name!r}: {self.summary()}"
        return block(title, heat_maps(patterns.sqrt(), names), table(columns))

    def _coords(self) -> Mapping[str, tuple[str, ...]]:
        return {"coordinate": ("x", "y"), "role": self.family.roles}

    def _variables(self) -> Mapping[str, Variable]:
        by_role = {
            role: Variable(("point",), torch.from_numpy(np.ascontiguousarray(scores)))
            for role, scores in zip(self.family.roles, self.scores.T, strict=True)
        }
        return {
            **point_variables(self.heads, self.embedding, self.labels, self.codes),
            **by_role,
        }

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {name: torch.from_numpy(getattr(self, name)) for name in _ARRAYS}
        state = self.autoencoder.state_dict()
        tensors.update({f"autoencoder.{name}": value for name, value in state.items()})
        for i, cluster in enumerate(self.clusters):
            tensors[f"cluster.{i}"] = torch.from_numpy(cluster.pattern)
        return tensors, {
            "name": self.family.name,
            "error": self.reconstruction_error,
            "pca_error": self.pca_error,
            "stability": self.stability,
            "clusters": [
                {"name": c.name, "scores": c.scores, "size": c.size, "layers": c.layers}
                for c in self.clusters
            ],
        }

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> PatternFamily:
        arrays: dict[str, NDArray[Any]] = {name: tensors[name].numpy() for name in _ARRAYS}
        start = "autoencoder."
        state = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        latent, size = state["down"].shape
        autoencoder = Autoencoder(size, latent)
        autoencoder.load_state_dict(state)
        clusters = [
            Cluster(
                _current_words(cluster["name"]),
                {_current_words(role): score for role, score in cluster["scores"].items()},
                cluster["size"],
                {int(layer): count for layer, count in cluster["layers"].items()},
                np.asarray(tensors[f"cluster.{i}"]),
            )
            for i, cluster in enumerate(about["clusters"])
        ]
        return cls(
            FAMILIES[about["name"]],
            autoencoder.requires_grad_(False),
            clusters=clusters,
            reconstruction_error=about["error"],
            pca_error=about["pca_error"],
            stability=about["stability"],
            **arrays,
        )


def _current_words(name: str) -> str:
    """The name of a role or cluster in a file of release 0.1, as it is called now."""
    for old, new in (
        ("neighbours", "neighbors"),
        ("looked at", "attended to"),
        ("towards", "toward"),
    ):
        name = name.replace(old, new)
    return name
