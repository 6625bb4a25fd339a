"""Small heat maps as HTML pictures, by Pillow alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

__all__ = ["heat_map", "heat_maps"]

_SEQUENTIAL = "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725"
"""matplotlib's viridis at equal steps."""

_DIVERGING = "3b4cc0 6788ee 9abbff c9d7f0 f2f2f2 f7c5ad f08a6c d44e41 b40426"
"""Blue below 0, red above."""

_SIDE = 160
"""Pixels of the longer side of a map."""


def heat_map(values: Tensor, *, title: str = "", caption: str = "") -> str:
    """Values [row, col] as a picture with its range below it.

    The scale runs from the least to the greatest value; where values lie on both sides of 0 it is
    blue below 0, red above, and pale at 0. NaN is transparent.

    Parameters
    ----------
    values : Tensor
        [row, col].
    title : str
        Above the picture.
    caption : str
        What rows and columns are, beside the range: ``"layer x head"``.
    """
    grid = values.detach().cpu().double().numpy()
    finite = grid[np.isfinite(grid)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    signed = low < 0 < high
    if signed:
        low, high = -max(-low, high), max(-low, high)
    scale = "no values" if not finite.size else f"{low:.3g} to {high:.3g}"
    text = ", ".join(part for part in (caption, scale) if part)
    picture = _png(_painted(grid, low, high, _DIVERGING if signed else _SEQUENTIAL))
    return (
        '<figure style="display:inline-block;margin:0 12px 8px 0">'
        + (f"<div>{escape(title)}</div>" if title else "")
        + f'<img alt="{escape(title or text)}" src="data:image/png;base64,{picture}" '
        'style="image-rendering:pixelated">'
        f"<figcaption>{escape(text)}</figcaption></figure>"
    )


def heat_maps(values: Tensor, titles: Sequence[str], *, limit: int = 8) -> str:
    """The first maps of [map, row, col] beside each other, each on its own scale."""
    shown = [
        heat_map(grid, title=title)
        for grid, title in zip(values[:limit], titles[:limit], strict=True)
    ]
    more = f"<div>... and {len(values) - limit} more maps</div>" if len(values) > limit else ""
    return "".join(shown) + more


def _painted(grid: NDArray[np.float64], low: float, high: float, colors: str) -> NDArray[np.uint8]:
    """Values as pixels [row, col, 4], each a square of several pixels."""
    anchors = np.array([list(bytes.fromhex(color)) for color in colors.split()], np.float64)
    is_finite = np.isfinite(grid)
    spread = high - low
    place = np.where(is_finite, (grid - low) / spread if spread > 0 else 0.5, 0) * (
        len(anchors) - 1
    )
    steps = np.arange(len(anchors))
    channels = [np.interp(place, steps, anchors[:, channel]) for channel in range(3)]
    pixels = np.rint(np.stack([*channels, np.where(is_finite, 255, 0)], -1)).astype(np.uint8)
    size = max(1, _SIDE // max(1, *grid.shape))
    return np.asarray(pixels.repeat(size, 0).repeat(size, 1))


def _png(pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
