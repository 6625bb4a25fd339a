"""Maps on the patch grid: checked, at pixels, and as an order of patches."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import ParameterError
from ..explainers import Attribution
from ..models.map_area import Interpolation, lay_over
from ..tracing.trace import Trace

__all__ = ["Interpolation", "Unit", "checked_maps", "min_max", "pixel_ranks", "to_pixels"]

Unit = Literal["patch", "pixel"]


def checked_maps(trace: Trace, maps: Attribution | Tensor) -> Tensor:
    """One finite map for each image of the trace, [batch, row, col], in float32 at least.

    Raises
    ------
    ParameterError
        If the shape is not that of the trace's patch grid, or a value is NaN or infinite.
    """
    name = f"the map of {maps.method}" if isinstance(maps, Attribution) else "the map"
    values = maps.final if isinstance(maps, Attribution) else maps
    tokens = trace.tokens
    expected = (trace.batch_size, tokens.rows, tokens.cols)
    if not isinstance(values, Tensor) or tuple(values.shape) != expected:
        shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ParameterError(
            f"Got {shape} as {name}, but the trace has {expected[0]} image(s) of {tokens.rows} x "
            f"{tokens.cols} patches: [{expected[0]}, {tokens.rows}, {tokens.cols}] was expected."
        )
    values = values.detach().to(trace.inputs.device)
    if values.dtype != torch.float64:
        values = values.float()
    broken = ~torch.isfinite(values).flatten(1).all(1)
    if bool(broken.any()):
        index = int(broken.nonzero()[0])
        raise ParameterError(
            f"There are NaN or infinite values in {name} of image {index}, so its patches cannot "
            "be ranked: look for a division by zero in the method, or overflow in half precision."
        )
    return values


def to_pixels(trace: Trace, maps: Tensor, interpolation: Interpolation = "bilinear") -> Tensor:
    """Maps [batch, row, col] at the pixels of the model's input, [batch, height, width]."""
    if interpolation not in get_args(Interpolation):
        raise ParameterError(f"interpolation is {interpolation!r}: choose 'bilinear' or 'nearest'.")
    height, width = trace.inputs.shape[-2:]
    return lay_over(maps, (height, width), trace.tokens.area, interpolation)


def pixel_ranks(trace: Trace, maps: Tensor, unit: Unit = "patch", seed: int = 0) -> Tensor:
    """For each pixel the rank of its patch (or of itself), the most relevant first.

    Ties are broken at random, in the same way each time: breaking them by row would favor the top
    of the image, and many maps are 0 over large areas.

    Returns
    -------
    Tensor
        [batch, height, width], int64, 0 for the most relevant patch (or pixel).
    """
    if unit not in get_args(Unit):
        raise ParameterError(f"The unit is {unit!r}: choose 'patch' or 'pixel'.")
    grid = maps if unit == "patch" else to_pixels(trace, maps)
    flat = grid.flatten(1)
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(flat.shape[1], generator=generator).to(flat.device)
    order = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    ranks = torch.empty_like(order).scatter_(1, order, places).view_as(grid)
    if unit == "pixel":
        return ranks
    height, width = trace.inputs.shape[-2:]
    rows, cols = trace.tokens.patches_of_pixels(height, width)
    return ranks[:, rows][:, :, cols]


def min_max(maps: Tensor) -> Tensor:
    """Each map [batch, ...] scaled from 0 to 1; a constant map becomes 0."""
    flat = maps.flatten(1)
    shape = (-1, *[1] * (maps.ndim - 1))
    low, high = flat.amin(1).view(shape), flat.amax(1).view(shape)
    spread = torch.where(high > low, high - low, 1)
    return (maps - low) / spread
