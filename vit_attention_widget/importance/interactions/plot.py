"""A picture of interactions of heads, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...results.drawing import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import HeadInteractions

__all__ = ["plot_matrix"]


def plot_matrix(interactions: HeadInteractions, ax: Axes | None) -> Axes:
    """Rows the heads that are gone, columns all heads by layer; red where one takes over."""
    ax = axes_or_new(ax)
    matrix = interactions.matrix()
    most = float(matrix.abs().nan_to_num(0).max()) or 1.0
    image = ax.imshow(
        matrix.numpy(), cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", interpolation="nearest"
    )
    ax.figure.colorbar(image, ax=ax, label=f"change of {interactions.metric}")
    layers, heads = interactions.importance.shape[1:]
    ax.set_xticks([heads * layer - 0.5 for layer in range(layers)], map(str, range(layers)))
    gone = [layer for layer, _ in interactions.gone]
    firsts = [row for row, layer in enumerate(gone) if row == 0 or gone[row - 1] != layer]
    ax.set_yticks([row - 0.5 for row in firsts], [str(gone[row]) for row in firsts])
    ax.set(
        xlabel="head, by layer",
        ylabel="head that is gone, by layer",
        title=f"of {interactions.target}{interactions._shortfall()}",
    )
    return ax
