"""Masks of objects, at the pixels of the model's input."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..data.masks import MaskLike
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer
from ..models.images import load_image

__all__ = ["are_masks", "place_mask"]


def place_mask(
    vit: VisionTransformer, image: object, mask: MaskLike, inputs: Tensor, ignore: int | None = None
) -> tuple[Tensor, Tensor]:
    """Which pixels of the model's input are on the object, and which count at all.

    Parameters
    ----------
    vit : VisionTransformer
    image : image or float tensor
        What the model's input was made from.
    mask : array, tensor, PIL image or path, or None
        [height, width] of the image, in which case the mask is preprocessed as the image was, or
        of the model's input. bool; or numbers from 0 to 1 or from 0 to 255, of which the upper half
        is the object. None: the image has no mask.
    inputs : Tensor
        [3, height, width], the model's input.
    ignore : int, optional
        Value of the mask where pixels do not count, such as a border.

    Returns
    -------
    tuple of Tensor
        The object, and the pixels that count; [height, width] bool each.

    Raises
    ------
    ParameterError
        If the mask has neither size, or its values are on no known scale.
    ImageError
        If the mask's file cannot be read.
    """
    height, width = inputs.shape[-2:]
    if mask is None:
        nothing = torch.zeros(height, width, dtype=torch.bool)
        return nothing, ~nothing
    array = _array(mask)
    ignored = np.zeros(array.shape, bool) if ignore is None else array == ignore
    on_object = _object(array, ignored)
    is_input = isinstance(image, Tensor) and image.is_floating_point()
    size = (height, width) if is_input else load_image(image).size[::-1]
    if array.shape == size and not is_input:
        on_object, ignored = (_preprocessed(vit, each, inputs) for each in (on_object, ignored))
    elif array.shape != (height, width):
        other = "" if is_input else f" nor that of its image, {size[0]} x {size[1]}"
        raise ParameterError(
            f"A mask is {' x '.join(map(str, array.shape))} (height x width), which is not the "
            f"size of the model's input, {height} x {width}{other}: resize it by nearest "
            "neighbor, or give the image that it belongs to."
        )
    counted = torch.from_numpy(~ignored)
    return torch.from_numpy(on_object) & counted, counted


def are_masks(value: object) -> bool:
    """Whether a value can only be masks, and is no target."""
    if isinstance(value, Image.Image | os.PathLike | Iterator):
        return True
    if isinstance(value, list | tuple):
        return any(are_masks(each) for each in value)
    return getattr(value, "ndim", 0) >= 2


def _array(mask: MaskLike) -> NDArray[Any]:
    if isinstance(mask, str | os.PathLike):
        path = os.fspath(mask)
        try:
            with Image.open(path) as opened:
                mask = opened.convert("L") if opened.mode == "RGB" else opened.copy()
        except OSError as error:
            raise ImageError(f"The mask {path!r} cannot be read: {error}.") from error
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
    """Where a mask of any scale says that the object is."""
    if array.dtype == bool:
        return np.array(array)
    counted = array[~ignored]
    if np.isnan(counted.astype(np.float64)).any():
        raise ParameterError("A mask holds NaN: mark pixels that do not count by ignore=.")
    low, high = (float(counted.min()), float(counted.max())) if counted.size else (0.0, 0.0)
    if low >= 0 and high <= 1:
        return np.asarray(array > 0.5)
    if low >= 0 and 127 < high <= 255:
        return np.asarray(array > 127)
    raise ParameterError(
        f"A mask holds values from {low:g} to {high:g}: bool, 0 to 1, or 0 to 255 was expected. "
        "Compare it with the object's value, e.g. mask == 1."
    )


def _preprocessed(
    vit: VisionTransformer, mask: NDArray[np.bool_], inputs: Tensor
) -> NDArray[np.bool_]:
    """A mask of the image, resized and cropped by the model's own preprocessing."""
    if not mask.any():
        return np.zeros(tuple(inputs.shape[-2:]), bool)
    levels = (mask * 255).astype(np.uint8)
    seen = vit.transform(Image.fromarray(np.repeat(levels[..., None], 3, 2)))
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in vit.normalization)
    return np.asarray(((seen.float().cpu() * std + mean).mean(0) > 0.5).numpy())
