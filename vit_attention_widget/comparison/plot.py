"""A picture of maps beside each other, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ParameterError
from ..statistics.ranks import average_ranks

if TYPE_CHECKING:
    from .result import Comparison

__all__ = ["plot_comparison"]

SCALES = ("shared", "own", "rank")
_ACROSS = 5
_NUMBERS = 12
"""Numbers are written into the matrix of at most so many maps."""


def plot_comparison(found: Comparison, scale: str | None = None) -> Any:
    """See :meth:`~.result.Comparison.plot`."""
    if scale is None:
        scale = "shared" if found.one_unit else "own"
    if scale not in SCALES:
        raise ParameterError(f"The scale is {scale!r}: choose from {', '.join(SCALES)}.")
    import matplotlib.pyplot as plt

    count = len(found)
    across = min(_ACROSS, count)
    down = -(-count // across)
    figure = plt.figure(figsize=(1.6 * across + 4.5, max(3.6, 1.8 * down)), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=[1.6 * across, 4.5])
    left, right = parts
    maps = _ranks(found.maps) if scale == "rank" else found.maps
    shared = {} if scale == "own" else {"vmin": min(0, maps.min()), "vmax": maps.max()}
    axes = left.subplots(down, across, squeeze=False).flatten()
    for ax in axes:
        ax.axis("off")
    for ax, values, name in zip(axes, maps, found.names, strict=False):
        image = ax.imshow(values, cmap="viridis", **shared)
        ax.set_title(name, fontsize=8)
    if shared:
        left.colorbar(image, ax=axes, shrink=0.6)
    words = {"shared": "one scale", "own": "each on its own scale", "rank": "patches by rank"}
    left.suptitle(words[scale], fontsize=9)
    _matrix(found, right.subplots())
    return figure


def _matrix(found: Comparison, ax: Any) -> None:
    table = found.rank_correlation
    image = ax.imshow(table, cmap="PuOr_r", vmin=-1, vmax=1)
    ax.figure.colorbar(image, ax=ax, label="rank correlation (Spearman)", shrink=0.8)
    places = range(len(found))
    ax.set_xticks(places, found.names, rotation=90, fontsize=7)
    ax.set_yticks(places, found.names, fontsize=7)
    if len(found) > _NUMBERS:
        return
    for row in places:
        for col in places:
            value = table[row, col]
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.7 else "black"
                ax.text(col, row, f"{value:.2f}", ha="center", va="center", size=7, color=colour)


def _ranks(maps: Any) -> Any:
    """Each map's patches by rank, from 0 to 1; equal values share a rank."""
    flat = maps.reshape(len(maps), -1)
    ranks = np.stack([average_ranks(values) for values in flat]) - 1
    return (ranks / max(1, flat.shape[1] - 1)).reshape(maps.shape)
