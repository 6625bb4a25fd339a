"""Heads placed on a map that was learned from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..results.named_values import NamedValues, Variable
from ..results.storage import JsonObject
from .layout import Floats
from .map_points import plot_points, point_variables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlacedHeads"]


@dataclass(frozen=True, eq=False)
class PlacedHeads(NamedValues):
    """Heads placed on a map that was learned from others.

    Attributes
    ----------
    heads : array
        [point, 3]: image, layer and head of each point.
    points : array
        [point, 2], on the map; ``.values`` as a tensor.
    labels : array
        [point], cluster of each.
    codes : array
        [point, dim].
    patterns : array
        [point, height, width], the attention of each head, pooled.
    cluster_names : tuple of str
        Of the map.
    """

    kind = "placed heads"
    axes = ("point", "coordinate")
    table_axes = ("point",)

    heads: NDArray[np.int64] = field(repr=False)
    points: Floats = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    codes: Floats = field(repr=False)
    patterns: Floats = field(repr=False)
    cluster_names: tuple[str, ...]

    @property
    def values(self) -> Tensor:
        """[point, coordinate], where each head lies on the map."""
        return torch.from_numpy(self.points)

    def __len__(self) -> int:
        """Number of points."""
        return len(self.heads)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the points in the colors of their clusters. Needs matplotlib."""
        return plot_points(self.points, self.labels, self.cluster_names, ax)

    def _coords(self) -> Mapping[str, tuple[str, ...]]:
        return {"coordinate": ("x", "y")}

    def _variables(self) -> Mapping[str, Variable]:
        patterns = Variable(("point", "row", "col"), torch.from_numpy(self.patterns))
        of_points = point_variables(self.heads, self.points, self.labels, self.codes)
        return {**of_points, "pattern": patterns}

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        names = ("heads", "points", "labels", "codes", "patterns")
        tensors = {name: torch.from_numpy(getattr(self, name)) for name in names}
        return tensors, {"cluster_names": self.cluster_names}

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> PlacedHeads:
        arrays: dict[str, NDArray[Any]] = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls(**arrays, cluster_names=tuple(about["cluster_names"]))
