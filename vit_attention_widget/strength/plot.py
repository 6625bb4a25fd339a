"""Heads by layer, drawn by matplotlib."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..results.drawing import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_by_layer"]

_LABELS = {
    "entropy": "entropy of strength by distance (nats)",
    "distance": "mean attention distance (pixels)",
    "class_to_class": "attention of the class token to itself",
    "class_to_patches": "attention of the class token to patches",
    "patches_to_class": "mean attention of patches to the class token",
}


def plot_by_layer(values: Tensor, quantity: str, hops: int, ax: Axes | None) -> Axes:
    """A dot for each head, [layer, head]; for the entropy a line at its greatest value."""
    ax = axes_or_new(ax)
    measured = values.cpu().isfinite()
    layers = torch.arange(len(values))[:, None].expand_as(values)
    ax.scatter(layers[measured], values.cpu()[measured], s=16, alpha=0.8)
    if quantity == "entropy":
        ax.axhline(math.log(hops), linestyle=":", linewidth=1, color="gray")
    ax.set(xlabel="layer", ylabel=_LABELS[quantity])
    return ax
