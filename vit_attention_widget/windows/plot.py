"""A picture of windowed attention, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ParameterError
from ..models.head_index import index_among
from ..results.optional import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import WindowAttention

__all__ = ["plot_windows"]

_ACROSS = 6
_NOTHING = 1e-12
"""Attention behind the shift's mask is of this order or smaller."""


@dataclass(frozen=True)
class _Panel:
    """What is drawn of one block.

    ``box`` is the token that attends as (top, left, height, width), in pixels.
    """

    values: NDArray[np.float32]
    box: tuple[int, int, int, int]
    title: str


def plot_windows(
    windows: WindowAttention,
    blocks: Sequence[int],
    place: tuple[float, float] | None,
    head: SupportsIndex | None,
    image: int,
    ax: Axes | None,
) -> Axes:
    """See :meth:`~.result.WindowAttention.plot`."""
    batch, _, height, width = windows.inputs.shape
    y, x = (height / 2, width / 2) if place is None else place
    if not (0 <= y < height and 0 <= x < width):
        raise ParameterError(
            f"The place is ({y}, {x}), but the picture has rows 0 to {height - 1} and columns 0 to "
            f"{width - 1}: give (y, x) in pixels of the model's input."
        )
    index = index_among(image, batch)
    if index is None:
        raise ParameterError(
            f"There is no image {image!r}: the batch has {batch}, 0 to {batch - 1}."
        )
    panels = [_panel(windows, block, y, x, head, index) for block in blocks]
    if not panels:
        raise ParameterError("No block was named: give at least one, or None for all.")
    if ax is not None and len(panels) > 1:
        raise ParameterError(
            f"{len(panels)} blocks do not fit into one pair of axes: give blocks=... a single "
            "block, or leave ax out."
        )
    axes = [ax] if ax is not None else _new_axes(len(panels), height / width)
    picture = windows.model.picture(windows.inputs[index : index + 1])[0].convert("L")
    for each, panel in zip(axes, panels, strict=True):
        _draw(each, picture, panel)
    if ax is None:
        heads = "mean of the heads" if head is None else f"head {head}"
        axes[-1].figure.suptitle(
            f"what pixel ({y:.0f}, {x:.0f}) attends to: {heads}, each block on its own scale"
        )
    return axes[-1]


def _new_axes(count: int, aspect: float) -> list[Axes]:
    """Axes for panels whose height is so many times their width."""
    plt = optional("matplotlib.pyplot", "plot()")
    across = min(_ACROSS, count)
    down = -(-count // across)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(2.6 * across, (2.6 * aspect + 0.3) * down + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for unused in axes.flat[count:]:
        figure.delaxes(unused)
    return list(axes.flat[:count])


def _draw(ax: Axes, picture: Image.Image, panel: _Panel) -> None:
    rectangle = optional("matplotlib.patches", "plot()").Rectangle
    (rows, cols), (top, left, tall, wide) = panel.values.shape, panel.box
    ax.axis("off")
    ax.imshow(picture, cmap="gray", extent=(0, picture.width, picture.height, 0))
    visible = np.ma.masked_less(panel.values, _NOTHING)
    ax.imshow(visible, cmap="viridis", alpha=0.7, extent=(0, cols * wide, rows * tall, 0), vmin=0)
    ax.add_patch(rectangle((left, top), wide, tall, fill=False, edgecolor="red"))
    ax.set(xlim=(0, picture.width), ylim=(picture.height, 0), title=panel.title)
    ax.title.set_fontsize(8)


def _panel(
    windows: WindowAttention,
    number: int,
    y: float,
    x: float,
    head: SupportsIndex | None,
    image: int,
) -> _Panel:
    block = windows.blocks[number]
    tall, wide = block.patch
    row, col = int(y // tall), int(x // wide)
    values = windows.from_patch(number, row, col, head)[image].float()
    values = values if head is not None else values.mean(0)
    shifted = ", shifted" if any(block.shift) else ""
    title = f"block {number} (stage {block.stage}{shifted}), {block.rows} x {block.cols}"
    return _Panel(values.cpu().numpy(), (row * tall, col * wide, tall, wide), title)
