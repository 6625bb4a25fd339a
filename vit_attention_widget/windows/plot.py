"""A picture of windowed attention, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ParameterError

if TYPE_CHECKING:
    from .result import WindowAttention

__all__ = ["plot_windows"]

_ACROSS = 4
_NOTHING = 1e-12
"""Attention below this is none: the mask of shifted windows leaves about 1e-44."""


def plot_windows(
    found: WindowAttention,
    place: tuple[float, float] | None,
    blocks: Sequence[int],
    head: int | None,
    image: int,
) -> Any:
    """See :meth:`~.result.WindowAttention.plot`."""
    batch, _, height, width = found.inputs.shape
    y, x = (height / 2, width / 2) if place is None else place
    if not (0 <= y < height and 0 <= x < width):
        raise ParameterError(
            f"The place is ({y}, {x}), but the picture has rows 0 to {height - 1} and columns 0 to "
            f"{width - 1}: give (y, x) in pixels of the model's input."
        )
    if not 0 <= image < batch:
        raise ParameterError(f"There is no image {image}: the batch has {batch}, 0 to {batch - 1}.")
    panels = [_panel(found, block, y, x, head, image) for block in blocks]
    if not panels:
        raise ParameterError("No block was named: give at least one, or None for all.")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    across = min(_ACROSS, len(panels))
    panel = 2.6 * height / width + 0.3
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(2.6 * across, panel * down + 0.4),
        squeeze=False,
        layout="constrained",
    )
    picture = found.model.picture(found.inputs[image : image + 1])[0].convert("L")
    for ax in axes.flat:
        ax.axis("off")
    for ax, (values, (top, left, tall, wide), title) in zip(axes.flat, panels, strict=False):
        rows, cols = values.shape
        ax.imshow(picture, cmap="gray", extent=(0, width, height, 0))
        clear = np.ma.masked_less(values, _NOTHING)
        ax.imshow(clear, cmap="viridis", alpha=0.7, extent=(0, cols * wide, rows * tall, 0), vmin=0)
        ax.add_patch(Rectangle((left, top), wide, tall, fill=False, edgecolor="red"))
        ax.set(xlim=(0, width), ylim=(height, 0), title=title)
        ax.title.set_fontsize(8)
    heads = "mean of the heads" if head is None else f"head {head}"
    figure.suptitle(f"where pixel ({y:.0f}, {x:.0f}) looks: {heads}, each block on its own scale")
    return figure


def _panel(
    found: WindowAttention, block: int, y: float, x: float, head: int | None, image: int
) -> tuple[Any, tuple[int, int, int, int], str]:
    """The map of a block, the box in pixels of where it looks from, and what to call it."""
    one = found.block(block)
    tall, wide = one.patch
    row, col = int(y // tall), int(x // wide)
    values = found.from_patch(block, row, col, head)[image].float()
    values = values if head is not None else values.mean(0)
    shifted = ", shifted" if any(one.shift) else ""
    title = f"block {block} (stage {one.stage}{shifted}), {one.rows} x {one.cols}"
    return values.cpu().numpy(), (row * tall, col * wide, tall, wide), title
