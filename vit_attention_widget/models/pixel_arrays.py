"""Pixels in memory, arrays and tensors, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from ..errors import ImageError
from .picture_limits import check_size
from .tensor_input import check_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["from_array", "from_tensor"]

_CHANNELS = (1, 3, 4)  # gray, RGB, RGB with alpha


def from_tensor(tensor: torch.Tensor) -> Image.Image:
    """A uint8 tensor [height, width], [height, width, 1 | 3 | 4] or with the channels first."""
    array = check_plain(tensor).detach().cpu()
    if array.dtype is torch.uint8 and array.ndim == 3:
        first, last = array.shape[0] in _CHANNELS, array.shape[-1] in _CHANNELS
        if first and last and array.shape[0] != array.shape[-1]:
            raise ImageError(
                f"A uint8 tensor {list(array.shape)} can be read with the channels first or last. "
                "Expected [height, width, 3]. Pass it as a NumPy array in that order."
            )
        if first and not last:
            array = array.movedim(0, -1)
    if array.dtype is torch.bfloat16:  # NumPy has no such type
        raise _wrong_array("tensor", "bfloat16", list(array.shape))
    return from_array(array.numpy(), "tensor")


def from_array(array: NDArray[np.generic], kind: str) -> Image.Image:
    """A uint8 array [height, width] or [height, width, 1 | 3 | 4]."""
    if array.dtype != np.uint8:
        raise _wrong_array(kind, str(array.dtype), list(array.shape))
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in _CHANNELS):
        advice = ""
        if array.ndim == 3 and array.shape[0] in _CHANNELS:
            advice = " The channels seem to be first: use array.transpose(1, 2, 0)."
        if array.ndim == 4:
            advice = " Pass the pictures of a batch as a list."
        raise ImageError(
            f"Got a uint8 {kind} of shape {list(array.shape)} as a picture. Expected "
            f"[height, width], or [height, width, channel] with 1, 3 or 4 channels.{advice}"
        )
    check_size(array.shape[0], array.shape[1], f"the {kind}")  # before a strided view is copied
    return Image.fromarray(np.ascontiguousarray(array))


def _wrong_array(kind: str, dtype: str, shape: list[int]) -> ImageError:
    if "float" in dtype:
        advice = (
            "A float tensor [3, height, width] or [batch, 3, height, width] is taken as model "
            "input, already normalized: torch.from_numpy makes one. A picture with values in 0..1 "
            "becomes uint8 by (values * 255).round()."
        )
    elif dtype == "uint16":
        advice = "Scale 16-bit values down: (values // 257) as uint8."
    else:
        advice = "Convert it: values in 0..255 as uint8."
    return ImageError(
        f"Got a {dtype} {kind} {shape} as a picture. Expected uint8 [height, width, 3]. {advice}"
    )
