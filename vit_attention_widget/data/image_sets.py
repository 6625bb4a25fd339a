"""Images one by one, in lists, data sets or loaders, as batches of at most so many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError
from ..models import VisionTransformer
from ..models.classes import class_index
from .labelled import samples

__all__ = [
    "Batch",
    "batches",
    "count",
    "kept_inputs",
    "raw_image",
    "read_once",
    "until_it_breaks",
]

Batch = tuple[Any, Any]
"""Images, and the target of each (or one for all, or None)."""


def batches(images: Any, target: Any, size: int) -> Iterator[Batch]:
    """Cut images and their targets into batches of at most ``size``.

    Parameters
    ----------
    images : image, float tensor, list, data set or loader
        What a loader yields may be images, (images, labels), or a mapping with ``image`` or
        ``pixel_values`` and ``label`` or ``labels``; each a batch or one sample.
    target : optional
        Of all images; None takes the labels that come with them, if any.
    size : int

    Raises
    ------
    ParameterError
        If targets are given one per image beside a data set, which brings its own order.
    ImageError
        If a list is empty.
    """
    if _is_one(images) or not _is_many(images):  # the model's preparation says what is wrong
        yield images, target
        return
    if isinstance(images, Tensor) or (isinstance(images, list | tuple) and not _is_pairs(images)):
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            yield images[part], target[part] if _is_each(target) else target
        if not len(images):
            raise ImageError("The list of images is empty: give at least one.")
        return
    if _is_each(target):
        raise ParameterError(
            "Targets were given one per image beside a data set: let it yield (image, label), or "
            "give one target for all."
        )
    waiting: list[Batch] = []
    for item in samples(images):
        inputs, labels = _split(item)
        own = labels if target is None else target
        if not _is_one(inputs) and _is_many(inputs):
            yield from batches(inputs, _listed(own), size)
            continue
        waiting.append((inputs, own))
        if len(waiting) == size:
            yield _joined(waiting, target)
            waiting = []
    if waiting:
        yield _joined(waiting, target)


def until_it_breaks(given: Iterator[Batch]) -> Iterator[Batch | Exception]:
    """Batches, and at last the error of a data set that breaks; it may raise anything."""
    try:
        yield from given
    except Exception as error:
        yield error


def count(images: Any) -> int | None:
    """How many batches or samples there are, where that is known."""
    if _is_one(images):
        return 1
    data = getattr(images, "dataset", images)  # a loader's length counts batches
    try:
        return len(data)
    except TypeError:
        return None


def kept_inputs(vit: VisionTransformer, images: Any) -> list[tuple[Tensor, int | None]]:
    """Images as (model input, class index or None), read once and kept.

    Raises
    ------
    ParameterError
        If some images have a label and others have none.
    ImageError
        If there is none, or one cannot be read.
    TargetError
    """
    kept: list[tuple[Tensor, int | None]] = []
    for part, labels in batches(images, None, 16):
        inputs = vit.prepare(part).cpu()
        each = labels if _is_each(labels) else [labels] * len(inputs)
        pairs = zip(inputs, each, strict=True)
        kept += [(image, None if y is None else class_index(y, vit)) for image, y in pairs]
    if not kept:
        raise ImageError("There are no images in the set: give at least one.")
    if len({label is None for _, label in kept}) == 2:
        raise ParameterError("Some images of the set have a label, others have none: give all.")
    return kept


def read_once(images: Any) -> Any:
    """Images that can be gone through again in the same order: a shuffling loader as a list."""
    again = _is_one(images) or isinstance(images, Tensor | Sequence) or not _is_many(images)
    return images if again else [_split(item) for item in samples(images)]


def raw_image(images: Any, index: int, total: int) -> Any:
    """An image as it was given, before any model's preparation.

    Raises
    ------
    ParameterError
        If the set is no list with one image an entry.
    """
    if not isinstance(images, Sequence) or len(images) != total:
        raise ParameterError(
            "Each model prepares an image by itself, but this one is of a data set that was read "
            "as one model's input: give image_set as a list of images."
        )
    return _split(images[index])[0]


def _is_one(images: Any) -> bool:
    if isinstance(images, Tensor):
        return images.ndim <= 3
    return isinstance(images, str | bytes | Path | Image.Image | np.ndarray) or hasattr(
        images, "__array_interface__"
    )


def _is_many(images: Any) -> bool:
    return isinstance(images, Iterable) or _is_indexed(images)


def _is_indexed(images: Any) -> bool:
    return hasattr(images, "__getitem__") and hasattr(images, "__len__")


def _is_pairs(images: Sequence[Any]) -> bool:
    return bool(images) and isinstance(images[0], tuple | Mapping)


def _is_each(target: Any) -> bool:
    """Whether there is a target for each image."""
    if isinstance(target, Tensor | np.ndarray):
        return target.ndim == 1
    return isinstance(target, Sequence) and not isinstance(target, str)


def _split(item: Any) -> Batch:
    if isinstance(item, Mapping):
        images = next((item[k] for k in ("image", "pixel_values", "images") if k in item), None)
        if images is None:
            raise ParameterError(
                f"The data set yields mappings with {sorted(map(str, item))}: an entry `image` or "
                "`pixel_values` was expected."
            )
        return images, next((item[k] for k in ("label", "labels") if k in item), None)
    if isinstance(item, tuple | list) and len(item) >= 2 and not _is_image_list(item):
        return item[0], item[1]
    if isinstance(item, tuple | list) and len(item) == 1:
        return item[0], None
    return item, None


def _is_image_list(item: Sequence[Any]) -> bool:
    """A list of images, not (images, labels): the second looks like the first."""
    return (
        isinstance(item, list)
        and type(item[0]) is type(item[1])
        and _is_one(item[1])
        and (not isinstance(item[1], Tensor) or item[1].ndim == 3)
    )


def _listed(labels: Any) -> Any:
    return labels.tolist() if isinstance(labels, Tensor | np.ndarray) else labels


def _joined(waiting: list[Batch], target: Any) -> Batch:
    images = [image for image, _ in waiting]
    labels = [_listed(label) for _, label in waiting]
    if target is not None or all(label is None for label in labels):
        return images, target
    return images, labels
