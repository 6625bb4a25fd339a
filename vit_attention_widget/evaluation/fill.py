"""What stands in a picture where a patch is hidden."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..errors import ParameterError
from ..tracing.trace import Trace

__all__ = ["FILLS", "Fill", "fill_name", "filled"]

FILLS = ("blur", "mean", "noise", "zero", "black")
"""See :func:`filled`."""

Fill: TypeAlias = str | Callable[[Tensor], Tensor]
"""One of :data:`FILLS`, or a function of model inputs [batch, 3, height, width]."""


def filled(trace: Trace, fill: Fill = "blur", *, seed: int = 0) -> Tensor:
    """The trace's inputs with everything hidden.

    ======= ======================================================================================
    fill    what a pixel becomes
    ======= ======================================================================================
    blur    the picture through a Gaussian whose sigma is one and a half patches (ours: RISE's
            sigma of 5 in 224 pixels leaves many objects to be named; give a function for it)
    mean    the picture's own mean colour
    noise   normal noise with the mean and the spread of the picture's own colours
    zero    0 in the model's input: the mean colour of its normalization, RISE's for deletion
    black   black, as Chefer et al. and Grad-CAM++ hide things
    ======= ======================================================================================

    Parameters
    ----------
    trace : Trace
    fill : str or callable
        A callable takes the inputs and returns others of their shape.
    seed : int
        Of the noise; picture i takes seed + i, and no other random numbers are touched.

    Returns
    -------
    Tensor
        [batch, 3, height, width].

    Raises
    ------
    ParameterError
        If there is no such fill, or a callable returns another shape.
    """
    inputs = trace.inputs.detach()
    wide = inputs.float() if inputs.dtype in (torch.float16, torch.bfloat16) else inputs
    if callable(fill):
        made = fill(inputs.clone())
        if not isinstance(made, Tensor) or made.shape != inputs.shape:
            shape = list(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise ParameterError(
                f"The fill {fill_name(fill)} returned {shape} for inputs of shape "
                f"{list(inputs.shape)}: it must return as many pictures of the same size."
            )
        return made.to(inputs)
    if fill == "blur":
        made = _blurred(wide, 1.5 * trace.tokens.patch_height, 1.5 * trace.tokens.patch_width)
    elif fill == "mean":
        made = wide.mean((2, 3), keepdim=True).expand_as(wide)
    elif fill == "noise":
        made = _noise(wide, seed)
    elif fill == "zero":
        made = torch.zeros_like(wide)
    elif fill == "black":
        mean, std = (
            torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in trace.model.normalization
        )
        made = (-mean / std).to(wide).expand_as(wide)
    else:
        raise ParameterError(
            f"The fill is {fill!r}: choose from {', '.join(FILLS)}, or give a function of the "
            "model's input."
        )
    return made.to(inputs)


def fill_name(fill: Fill) -> str:
    """What to call it."""
    return fill if isinstance(fill, str) else getattr(fill, "__name__", type(fill).__name__)


def _blurred(images: Tensor, down: float, across: float) -> Tensor:
    """A Gaussian of these sigmas in pixels; beyond its edge a picture goes on as it ends."""
    for axis, sigma in ((2, down), (3, across)):
        radius = math.ceil(3 * sigma)
        at = torch.arange(-radius, radius + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (at / sigma) ** 2)
        kernel = (weights / weights.sum()).to(images)
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        wide = F.pad(images, pad, mode="replicate")
        images = F.conv2d(wide, kernel.view(shape).expand(3, 1, -1, -1).contiguous(), groups=3)
    return images


def _noise(images: Tensor, seed: int) -> Tensor:
    drawn = []
    for index in range(len(images)):
        generator = torch.Generator().manual_seed(seed + index)
        drawn.append(torch.randn(images.shape[1:], generator=generator, dtype=torch.float64))
    mean, std = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True)
    return mean + std * torch.stack(drawn).to(images)
