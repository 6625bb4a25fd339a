"""Decisions by layer, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ..results.drawing import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_decisions"]


def plot_decisions(
    best: Tensor,
    names: Sequence[str],
    of_target: Tensor,
    target: str,
    title: str,
    quantity: str,
    ax: Axes | None,
) -> Axes:
    """The most probable class after each layer with its name, and the target through the layers."""
    ax = axes_or_new(ax)
    layers = range(len(names))
    ax.plot(layers, of_target.float().cpu().numpy(), marker="o", label=target)
    heights = best.float().cpu().numpy()
    ax.plot(layers, heights, linestyle=":", color="gray", label="most probable")
    for layer, (name, height) in enumerate(zip(names, heights, strict=True)):
        ax.annotate(name, (layer, height), rotation=45, fontsize="small")
    ax.set(title=title, xlabel="after layer", ylabel=quantity, xticks=list(layers))
    ax.legend()
    return ax
