"""Does a map mark enough for the decision? Show the image through it (Grad-CAM++)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..explainers import Attribution
from ..support.progress import ProgressLike
from ..tracing.trace import Trace
from .fill import Fill
from .maps import checked_maps, min_max, to_pixels
from .occlusion import Occluder
from .perturbation import occluding

__all__ = ["average_drop", "increase"]


def average_drop(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "zero",
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Tensor:
    r"""Share of the probability that is lost when the image is seen through the map.

    :math:`\max(0, Y - O) / Y` (Grad-CAM++: Chattopadhay et al. 2018, who multiply by 100 and
    average over images). Y is the probability of the class for the whole image, O that for
    :math:`m x + (1 - m) \cdot \mathrm{fill}`, with m the map at pixels, scaled from 0 at its
    minimum to 1 at its maximum. Lower is better; the metric favors maps that mark large areas. A
    constant map shows nothing (our choice).

    Parameters
    ----------
    trace : Trace
        Its images, target and masked heads.
    maps : Attribution or Tensor
        [batch, row, col]; of an attribution the map after the last layer.
    fill : str or callable
        ``"zero"`` multiplies the model's input by the map, as pytorch-grad-cam does; ``"black"``
        multiplies the image, as Grad-CAM++ does. For others see :func:`.deletion`.
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar.

    Returns
    -------
    Tensor
        [batch], in [0, 1]; NaN where Y is not above 0, as may be for targets that are not a class.

    Raises
    ------
    ParameterError
        If a map has another shape or is not finite, or an option does not exist.
    """
    with occluding(trace, 2, 0, max_batch, progress) as occluder:
        whole = occluder.run_whole().value[:, 0]
        through = _seen_through(occluder, maps, fill)
    drop = ((whole - through) / whole).clamp_min(0)
    return torch.where(whole > 0, drop, torch.nan)


def increase(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "zero",
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Tensor:
    """1 where the class is more probable when the image is seen through the map, else 0.

    Y < O in the terms of :func:`average_drop`, whose parameters and errors it has; the mean over
    images is the "increase in confidence" of Grad-CAM++. Higher is better.

    Returns
    -------
    Tensor
        [batch], 0 or 1.
    """
    with occluding(trace, 2, 0, max_batch, progress) as occluder:
        through = _seen_through(occluder, maps, fill)
        return (through > occluder.run_whole().value[:, 0]).double()


def _seen_through(occluder: Occluder, maps: Attribution | Tensor, fill: Fill) -> Tensor:
    """The value of each image seen through its map, [batch]."""
    grid = checked_maps(occluder.trace, maps)
    inputs, hidden = occluder.trace.inputs, occluder.completely_hidden(fill)
    share = min_max(to_pixels(occluder.trace, grid))[:, None].to(inputs)
    outcome = occluder.run(1, lambda i, _: hidden[i] + share[i] * (inputs[i] - hidden[i]))
    return outcome.value[:, 0]
