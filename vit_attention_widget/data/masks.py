"""Masks that are given beside images, in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError
from .items import ImagesLike, count_images, in_memory, is_image

__all__ = ["masks_in_order", "next_masks"]


def masks_in_order(masks: Any, images: ImagesLike) -> Iterator[Any]:
    """The masks of images, one after another; a single mask is that of a single image.

    Raises
    ------
    ParameterError
        If the masks are not as many as the images, where both can be counted.
    """
    if isinstance(masks, str | Image.Image) or getattr(masks, "ndim", 3) == 2:
        masks = [masks]
    if isinstance(masks, Sequence | Tensor | np.ndarray) and (
        is_image(images) or in_memory(images)
    ):
        count = count_images(images)
        if len(masks) != count:
            raise ParameterError(
                f"{len(masks)} masks were given for {count} images: give one each."
            )
    every: Iterable[Any] = masks
    return iter(every)


def next_masks(masks: Iterator[Any], count: int) -> list[Any]:
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
