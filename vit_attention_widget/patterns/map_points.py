"""Heads as points of a map: what its tables and pictures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ..results.drawing import axes_or_new
from ..results.named_values import Variable
from .layout import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_points", "point_variables"]


def point_variables(
    heads: NDArray[np.int64], points: Floats, labels: NDArray[np.int64], codes: Floats
) -> Mapping[str, Variable]:
    """Which head each point is, where it lies, its cluster, and its code."""
    columns = {
        **dict(zip(("image", "layer", "head"), heads.T, strict=True)),
        **dict(zip(("x", "y"), points.T, strict=True)),
        "cluster": labels,
    }
    variables = {
        name: Variable(("point",), torch.from_numpy(np.ascontiguousarray(column)))
        for name, column in columns.items()
    }
    return {**variables, "code": Variable(("point", "dim"), torch.from_numpy(codes))}


def plot_points(
    points: Floats, labels: NDArray[np.int64], names: Sequence[str], ax: Axes | None
) -> Axes:
    """A dot for each point in the color of its cluster."""
    ax = axes_or_new(ax)
    for label, name in enumerate(names):
        inside = points[labels == label]
        if len(inside):
            ax.scatter(inside[:, 0], inside[:, 1], s=6, color=f"C{label % 10}", label=name)
    ax.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xticks=[], yticks=[], aspect="equal")
    ax.legend(fontsize="small", markerscale=2)
    return ax
