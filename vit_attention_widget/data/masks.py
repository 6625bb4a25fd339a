"""Masks that are given beside images, in the same order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError
from .items import ImagesLike, count_images, in_memory, is_image

__all__ = ["MaskLike", "masks_in_order", "next_masks", "several_masks"]

MaskLike: TypeAlias = NDArray[np.generic] | Tensor | Image.Image | str | os.PathLike[str] | None
"""A mask of an image or of the model's input, or None for an image without one."""


def masks_in_order(masks: MaskLike | Iterable[MaskLike], images: ImagesLike) -> Iterator[MaskLike]:
    """The masks of images, one after another; a single mask is that of a single image.

    Raises
    ------
    ParameterError
        If the masks are not as many as the images, where both can be counted.
    """
    every = several_masks(masks)
    if isinstance(every, Sequence | Tensor | np.ndarray) and (
        is_image(images) or in_memory(images)
    ):
        count = count_images(images)
        if len(every) != count:
            raise ParameterError(
                f"{len(every)} masks were given for {count} images: give one each."
            )
    return iter(every)


def several_masks(masks: MaskLike | Iterable[MaskLike]) -> Iterable[MaskLike]:
    """What was given, or a list of the one mask that was."""
    if masks is None or isinstance(masks, str | os.PathLike | Image.Image) or _is_flat(masks):
        return [masks]
    return masks


def _is_flat(masks: object) -> TypeGuard[NDArray[np.generic] | Tensor]:
    return getattr(masks, "ndim", 3) == 2


def next_masks(masks: Iterator[MaskLike], count: int) -> list[MaskLike]:
    """The next masks.

    Raises
    ------
    ImageError
        If what yields them raises.
    ParameterError
        If there are fewer.
    """
    try:
        some = list(islice(masks, count))
    except Exception as error:  # they may come from anywhere
        raise ImageError(f"The masks ended with {type(error).__name__}: {error}.") from error
    if len(some) < count:
        raise ParameterError("There are fewer masks than images: give one each, or None.")
    return some
