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
    top, left, bottom, right = area
    for axis, start, end in ((-2, top, bottom), (-1, left, right)):
        place = _places(size[axis], maps.shape[axis], start, end, mode).to(maps.device)
        before = place.floor().long()
        after = (before + 1).clamp_max(maps.shape[axis] - 1)
        share = (place - before).to(maps.dtype)
        share = share[:, None] if axis == -2 else share
        # No product of matrices: of those the user's autocast would make half precision.
        maps = maps.index_select(axis, before).lerp(maps.index_select(axis, after), share)
    return maps


def _places(pixels: int, count: int, start: float, end: float, mode: Interpolation) -> Tensor:
    """Where each pixel of an axis lies among ``count`` values, 0 at the center of the first."""
    centers = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels
    place = (centers - start) / (end - start) * count
    if mode == "nearest":
        return place.floor().clamp(0, count - 1)
    return (place - 0.5).clamp(0, count - 1)
