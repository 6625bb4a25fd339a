"""A picture of maps beside each other, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..results.optional import optional
from ..statistics.ranks import average_ranks
from .result import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase

    from .result import Comparison

__all__ = ["plot_comparison"]

_ACROSS = 5
_NUMBERS = 12
"""Numbers are written into the matrix of at most so many maps."""


def plot_comparison(comparison: Comparison, scale: Scale | None, ax: Axes | None) -> Axes:
    """See :meth:`~.result.Comparison.plot`."""
    if scale is None:
        scale = "shared" if comparison.one_unit else "own"
    if scale not in get_args(Scale):
        raise ParameterError(f"The scale is {scale!r}: choose from {', '.join(get_args(Scale))}.")
    if ax is None:
        plt = optional("matplotlib.pyplot", "plot()")
        across = min(_ACROSS, len(comparison))
        down = -(-len(comparison) // across)
        size = (1.6 * across + 4.5, max(3.6, 1.8 * down))
        figure = plt.figure(figsize=size, layout="constrained")
        left, right = figure.add_gridspec(1, 2, width_ratios=[1.6 * across, 4.5])
        _maps(comparison, scale, figure, left.subgridspec(down, across))
        ax = figure.add_subplot(right)
    _matrix(comparison, ax)
    return ax


def _maps(comparison: Comparison, scale: Scale, figure: Figure, cells: GridSpecBase) -> None:
    """The maps as small multiples."""
    maps: NDArray[np.float32] = comparison.values.numpy()
    shown = _ranks(maps) if scale == "rank" else maps
    limits = {} if scale == "own" else {"vmin": min(0, shown.min()), "vmax": shown.max()}
    axes = []
    for i, (values, name) in enumerate(zip(shown, comparison.names, strict=True)):
        axes.append(figure.add_subplot(cells[divmod(i, cells.ncols)]))
        image = axes[-1].imshow(values, cmap="viridis", **limits)
        axes[-1].set_title(name, fontsize=8)
        axes[-1].axis("off")
    if limits:
        words = {"shared": "one scale for all maps", "rank": "patches by rank"}
        figure.colorbar(image, ax=axes, shrink=0.6, label=words[scale])


def _matrix(comparison: Comparison, ax: Axes) -> None:
    """The rank correlations, with numbers in them where they fit."""
    table = comparison.rank_correlation
    image = ax.imshow(table, cmap="PuOr_r", vmin=-1, vmax=1)
    ax.figure.colorbar(image, ax=ax, label="rank correlation (Spearman)", shrink=0.8)
    places = range(len(comparison))
    ax.set_xticks(places, comparison.names, rotation=90, fontsize=7)
    ax.set_yticks(places, comparison.names, fontsize=7)
    if len(comparison) > _NUMBERS:
        return
    for row in places:
        for col in places:
            value = table[row, col]
            if np.isfinite(value):
                color = "white" if abs(value) > 0.7 else "black"
                ax.text(col, row, f"{value:.2f}", ha="center", va="center", size=7, color=color)


def _ranks(maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each map's patches by rank, from 0 to 1; equal values share a rank."""
    flat = maps.reshape(len(maps), -1)
    ranks = np.stack([average_ranks(values) for values in flat]) - 1
    return np.asarray((ranks / max(1, flat.shape[1] - 1)).reshape(maps.shape))
