"""Model inputs back as pictures."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ParameterError
from .preparation import Normalization

__all__ = ["pictures"]


def pictures(
    inputs: Tensor, normalization: Normalization, display: tuple[int, int, int] | None = None
) -> list[Image.Image]:
    """Model inputs as RGB pictures.

    Parameters
    ----------
    inputs : Tensor
        [batch, channel, height, width].
    normalization : tuple
        Undone where it has a value for each channel; else values from the smallest to the largest
        of a picture's channel are shown from black to white.
    display : tuple of int, optional
        Channels to show as red, green and blue. By default the first three; where there are fewer,
        the first as gray.

    Raises
    ------
    ParameterError
        If there is no such channel.
    """
    channels = inputs.shape[1]
    shown = display or ((0, 1, 2) if channels >= 3 else (0, 0, 0))
    if any(not -channels <= channel < channels for channel in shown):
        raise ParameterError(
            f"display is {tuple(shown)}, but the input has {channels} channels, 0 to "
            f"{channels - 1}."
        )
    values = inputs.detach().float()
    if all(len(part) == channels for part in normalization):
        mean, std = (torch.tensor(v, device=values.device)[:, None, None] for v in normalization)
        values = values * std + mean
    else:
        low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
        values = (values - low) / (high - low).clamp_min(1e-12)
    pixels = values[:, list(shown)].clamp(0, 1).mul(255).round()
    arrays = pixels.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()
    return [Image.fromarray(np.ascontiguousarray(array)) for array in arrays]
