"""What hidden patches become, and images of which everything is hidden."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..errors import ParameterError
from ..tracing.trace import Trace

__all__ = ["FILLS", "Fill", "FillName", "completely_hidden", "fill_name"]

FillName = Literal["blur", "mean", "noise", "zero", "black"]

FILLS: tuple[FillName, ...] = get_args(FillName)
"""See :func:`completely_hidden`."""

Fill: TypeAlias = FillName | Callable[[Tensor], Tensor]
"""One of :data:`FILLS`, or a function of model inputs [batch, 3, height, width]."""


def completely_hidden(trace: Trace, fill: Fill = "blur", *, seed: int = 0) -> Tensor:
    """The trace's inputs with everything hidden.

    ======= ======================================================================================
    fill    what a hidden pixel becomes
    ======= ======================================================================================
    blur    the image blurred by a Gaussian whose sigma is one and a half patches (ours: with
            RISE's sigma, 5 of 224 pixels, many objects can still be recognized; give a function
            for that)
    mean    the image's own mean color
    noise   normal noise with the mean and standard deviation of the image's own colors
    zero    0 in the model's input, the mean color of its normalization: RISE's for deletion
    black   black, as in Chefer et al. and Grad-CAM++
    ======= ======================================================================================

    Parameters
    ----------
    trace : Trace
    fill : str or callable
        A callable takes the inputs and returns others of the same shape.
    seed : int
        Of the noise; image i is drawn with seed + i, and the global random state is not touched.

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
        hidden = fill(inputs.clone())
        if not isinstance(hidden, Tensor) or hidden.shape != inputs.shape:
            shape = list(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
            raise ParameterError(
                f"The fill {fill_name(fill)} returned {shape} for inputs of shape "
                f"{list(inputs.shape)}: it must return as many images of the same size."
            )
        return hidden.to(inputs)
    if fill == "blur":
        hidden = _blurred(wide, 1.5 * trace.tokens.patch_height, 1.5 * trace.tokens.patch_width)
    elif fill == "mean":
        hidden = wide.mean((2, 3), keepdim=True).expand_as(wide)
    elif fill == "noise":
        hidden = _noise(wide, seed)
    elif fill == "zero":
        hidden = torch.zeros_like(wide)
    elif fill == "black":
        mean, std = (
            torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1)
            for v in trace.model.normalization
        )
        hidden = (-mean / std).to(wide).expand_as(wide)
    else:
        raise ParameterError(
            f"The fill is {fill!r}: choose from {', '.join(FILLS)}, or give a function of the "
            "model's input."
        )
    return hidden.to(inputs)


def fill_name(fill: Fill) -> str:
    """What to call a fill."""
    return fill if isinstance(fill, str) else getattr(fill, "__name__", type(fill).__name__)


def _blurred(images: Tensor, sigma_down: float, sigma_across: float) -> Tensor:
    """Images blurred by a Gaussian of these sigmas in pixels, extended by their edge pixels."""
    for axis, sigma in ((2, sigma_down), (3, sigma_across)):
        radius = math.ceil(3 * sigma)
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = (weights / weights.sum()).to(images)
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        extended = F.pad(images, pad, mode="replicate")
        kernels = kernel.view(shape).expand(3, 1, -1, -1).contiguous()
        images = F.conv2d(extended, kernels, groups=3)
    return images


def _noise(images: Tensor, seed: int) -> Tensor:
    drawn = []
    for index in range(len(images)):
        generator = torch.Generator().manual_seed(seed + index)
        drawn.append(torch.randn(images.shape[1:], generator=generator, dtype=torch.float64))
    mean, std = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True)
    return mean + std * torch.stack(drawn).to(images)
