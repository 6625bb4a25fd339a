"""Images with their labels, as batches of model input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError
from ..models import VisionTransformer

__all__ = ["Labels", "batches", "classes_of", "samples"]

Labels = list[int | str]


def batches(
    vit: VisionTransformer, images: Any, labels: Any, size: int
) -> Iterator[tuple[Tensor, Labels]]:
    """Model inputs and labels, at most ``size`` at a time.

    Parameters
    ----------
    images : tensor, list, data set or loader
        With ``labels``: images. Without: what yields (image, label), or (images, labels) of a
        batch.
    labels : sequence of int or str, optional

    Raises
    ------
    ParameterError
        If labels are missing, or are not as many as the images.
    ImageError
        If there are no images, or one cannot be read.
    """
    waiting: list[Tensor] = []
    names: Labels = []
    empty = True
    for image, label in _pairs(images, labels):
        empty = False
        waiting.append(vit.prepare(image)[0])
        names.append(_label(label))
        if len(waiting) == size:
            yield vit.prepare(waiting), names
            waiting, names = [], []
    if empty:
        raise ImageError("There are no images to learn from: give at least one.")
    if waiting:
        yield vit.prepare(waiting), names


def _pairs(images: Any, labels: Any) -> Iterator[tuple[Any, Any]]:
    is_one = isinstance(images, str | bytes | Path | Image.Image)
    if is_one or not (isinstance(images, Iterable) or hasattr(images, "__getitem__")):
        raise ImageError(
            f"The images are a {type(images).__name__}, but a list, a data set or a loader was "
            "expected: put a single image into a list."
        )
    if labels is not None:
        yield from _side_by_side(images, labels)
        return
    for item in samples(images):
        if not isinstance(item, tuple | list) or len(item) < 2:
            raise ParameterError(
                "The images come without labels: give labels=[...], one for each, or a data set "
                "that yields (image, label)."
            )
        image, label = item[0], item[1]
        if isinstance(image, Tensor) and image.ndim == 4:
            yield from _side_by_side(image, label)
        else:
            yield image, label


def _side_by_side(images: Any, labels: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(labels, str) or not hasattr(labels, "__len__"):
        raise ParameterError(f"The labels are {labels!r}: give a list, one for each image.")
    given = _count(images)
    if given is not None and given != len(labels):
        raise ParameterError(f"{len(labels)} labels were given for {given} images: give one each.")
    count = 0
    for count, image in enumerate(samples(images), 1):
        if count > len(labels):
            break
        yield image, labels[count - 1]
    if count != len(labels):
        raise ParameterError(
            f"{len(labels)} labels were given, but not as many images: give one each."
        )


def samples(images: Any) -> Iterator[Any]:
    """What an iterable yields, or what lies in a data set that is only indexed."""
    if isinstance(images, Iterable):
        yield from images
    else:
        for index in range(len(images)):
            yield images[index]


def _count(images: Any) -> int | None:
    return len(images) if isinstance(images, Sequence | Tensor | np.ndarray) else None


def _label(label: Any) -> int | str:
    if isinstance(label, Tensor | np.ndarray) and label.ndim == 0:
        label = label.item()
    if isinstance(label, str):
        return label
    if isinstance(label, bool) or not hasattr(label, "__index__") or label.__index__() < 0:
        raise ParameterError(
            f"A label is {label!r}: give a class index from 0 on or a name for each image."
        )
    return int(label.__index__())


def classes_of(given: Labels, class_names: Sequence[str] | None) -> tuple[Tensor, list[str]]:
    """Labels as indices, and what the indices are called."""
    kinds = {isinstance(label, str) for label in given}
    if len(kinds) == 2:
        raise ParameterError("Some labels are names, others are indices: give all of one kind.")
    names = None if class_names is None else [str(name) for name in class_names]
    if kinds == {True}:
        names = names or sorted({str(label) for label in given})
        unknown = next((label for label in given if label not in names), None)
        if unknown is not None:
            raise ParameterError(f"The label {unknown!r} is not one of class_names, {names!r}.")
        return torch.tensor([names.index(str(label)) for label in given]), names
    index = torch.tensor([int(label) for label in given])
    highest = int(index.max())
    names = names or [f"class {i}" for i in range(highest + 1)]
    if highest >= len(names):
        raise ParameterError(
            f"A label is {highest}, but there are {len(names)} class_names: give one for each."
        )
    return index, names
