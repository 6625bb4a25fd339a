"""Masks of objects, brought to the pixels that the model sees."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError
from ..models import VisionTransformer
from ..models.images import load_image

__all__ = ["place_mask"]


def place_mask(
    vit: VisionTransformer, image: Any, mask: Any, inputs: Tensor, ignore: int | None = None
) -> tuple[Tensor, Tensor]:
    """Where the object is in the model's input, and which pixels count.

    Parameters
    ----------
    vit : VisionTransformer
    image : image or float tensor
        What the model's input was made of.
    mask : array, tensor, PIL image or path, or None
        [height, width] of the picture, which then goes through the preprocessing that the picture
        went through, or of the model's input. bool; or numbers from 0 to 1, or from 0 to 255,
        whose upper half is the object. None: there is no mask.
    inputs : Tensor
        [3, height, width], the model's input.
    ignore : int, optional
        Value of the mask where pixels do not count, such as a border.

    Returns
    -------
    tuple of Tensor
        Object and pixels that count, [height, width] bool each.

    Raises
    ------
    ParameterError
        If the mask has neither size, or its values are of no known scale.
    """
    height, width = inputs.shape[-2:]
    if mask is None:
        nothing = torch.zeros(height, width, dtype=torch.bool)
        return nothing, ~nothing
    array = _array(mask)
    ignored = np.zeros(array.shape, bool) if ignore is None else array == ignore
    on = _object(array, ignored)
    is_input = isinstance(image, Tensor) and image.is_floating_point()
    size = (height, width) if is_input else load_image(image).size[::-1]
    if array.shape == size and not is_input:
        on, ignored = (_transformed(vit, each, inputs) for each in (on, ignored))
    elif array.shape != (height, width):
        own = "" if is_input else f" nor that of its picture, {size[0]} x {size[1]}"
        raise ParameterError(
            f"A mask is {' x '.join(map(str, array.shape))} (height x width), which is not the "
            f"size of the model's input, {height} x {width}{own}: resize it with the nearest "
            "pixel's value, or give the picture that it belongs to."
        )
    found, counted = torch.from_numpy(on), torch.from_numpy(~ignored)
    return found & counted, counted


def _array(mask: Any) -> NDArray[Any]:
    if isinstance(mask, str | os.PathLike):
        try:
            with Image.open(mask) as opened:
                mask = opened.convert("L") if opened.mode == "RGB" else opened.copy()
        except OSError as error:
            raise ImageError(f"The mask {os.fspath(mask)!r} cannot be read: {error}.") from error
    if isinstance(mask, Tensor):
        mask = mask.detach().cpu()
    array = np.asarray(mask)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ParameterError(
            f"A mask has the shape {list(array.shape)}: [height, width] was expected."
        )
    return array


def _object(array: NDArray[Any], ignored: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if array.dtype == bool:
        return np.array(array)
    seen = array[~ignored]
    if np.isnan(seen.astype(np.float64)).any():
        raise ParameterError("A mask holds NaN: mark what does not count by `ignore=`.")
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    if low >= 0 and high <= 1:
        return np.asarray(array > 0.5)
    if low >= 0 and 127 < high <= 255:
        return np.asarray(array > 127)
    raise ParameterError(
        f"A mask holds values from {low:g} to {high:g}: bool, 0 to 1, or 0 to 255 was expected. "
        "Compare it with the object's value, e.g. mask == 1."
    )


def _transformed(
    vit: VisionTransformer, part: NDArray[np.bool_], inputs: Tensor
) -> NDArray[np.bool_]:
    """A mask of the picture, resized and cropped by the model's own preprocessing."""
    if not part.any():
        return np.zeros(tuple(inputs.shape[-2:]), bool)
    levels = (part * 255).astype(np.uint8)
    seen = vit.transform(Image.fromarray(np.repeat(levels[..., None], 3, 2)))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in vit.normalization)
    return np.asarray(((seen.float().cpu() * std + mean).mean(0) > 0.5).numpy())
