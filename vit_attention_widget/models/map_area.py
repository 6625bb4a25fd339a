"""Where a map of patches lies on the picture, and its values at the picture's pixels."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["WHOLE", "Area", "Interpolation", "lay_over"]

Area: TypeAlias = tuple[float, float, float, float]
"""Top, left, bottom and right of the patches, as shares of the picture's height and width.

Below 0 or above 1 where the model pads the picture, within where it leaves out an edge.
"""

WHOLE: Area = (0.0, 0.0, 1.0, 1.0)

Interpolation = Literal["bilinear", "nearest"]


def lay_over(
    maps: Tensor, size: tuple[int, int], area: Area = WHOLE, mode: Interpolation = "bilinear"
) -> Tensor:
    """Maps [..., row, col] at the pixels of a picture of ``size``, [..., height, width].

    The value of a patch stands at its center. Pixels beyond the outermost centers, those that the
    model leaves out too, have the value of the patch that is next to them.
    """
    if area == WHOLE:
        corners = False if mode == "bilinear" else None
        stacked = maps.reshape(-1, 1, *maps.shape[-2:])
        large = F.interpolate(stacked, size=size, mode=mode, align_corners=corners)
        return large.view(*maps.shape[:-2], *size)
    (rows, cols), (top, left, bottom, right) = maps.shape[-2:], area
    down, across = (
        _shares(pixels, count, start, end, mode).to(maps)
        for pixels, count, start, end in (
            (size[0], rows, top, bottom),
            (size[1], cols, left, right),
        )
    )
    return down @ maps @ across.T


def _shares(pixels: int, count: int, start: float, end: float, mode: Interpolation) -> Tensor:
    """How much of each of ``count`` values each pixel of an axis gets, [pixel, value]."""
    centers = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels
    place = (centers - start) / (end - start) * count
    if mode == "nearest":
        chosen = place.floor().long().clamp(0, count - 1)
        return F.one_hot(chosen, count).double()
    place = (place - 0.5).clamp(0, count - 1)
    distance = (place[:, None] - torch.arange(count)).abs()
    return (1 - distance).clamp_min(0)
