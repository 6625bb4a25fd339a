"""Labels of images: beside them or with them, by index or by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.class_names import class_names_of
from ..models.said_classes import with_classes
from .items import ImagesLike, count_images, in_memory, listed
from .reader import samples

__all__ = ["Label", "LabelsLike", "check_label", "number_classes", "with_labels", "with_names_of"]

Label = int | str
"""A class by index or name."""

LabelsLike = Sequence[Label] | Tensor | NDArray[np.generic]
"""A label for each image."""


def with_labels(
    images: ImagesLike, labels: LabelsLike | Sequence[object]
) -> Iterator[tuple[object, Label]]:
    """Images one by one, each with its label of those given beside them, in the same order.

    Raises
    ------
    ParameterError
        If the labels are not as many as the images, or one is neither an index nor a name.
    """
    each = listed(labels)
    if isinstance(each, str) or not hasattr(each, "__len__"):
        raise ParameterError(f"The labels are {labels!r}: give a list, one for each image.")
    each = list(each)
    total = count_images(images) if in_memory(images) else None
    if total is not None and total != len(each):
        raise ParameterError(f"{len(each)} labels were given for {total} images: give one each.")
    count = 0
    for image, _ in samples(images):
        if count < len(each):
            yield image, check_label(each[count], count)
        count += 1
        if count > len(each):
            break
    if count != len(each):
        raise ParameterError(
            f"{len(each)} labels were given, but not as many images: give one each."
        )


def check_label(label: object, image: int) -> Label:
    """The label of an image as an int or str.

    Raises
    ------
    ParameterError
        With the number of the image, if its label is neither an index nor a name.
    """
    label = listed(label)
    if isinstance(label, str):
        return label
    if isinstance(label, bool) or not hasattr(label, "__index__") or label.__index__() < 0:
        raise ParameterError(
            f"Image {image}: the label is {label!r}, but a class index from 0 on or a name was "
            "expected."
        )
    return int(label.__index__())


def with_names_of(images: ImagesLike, vit: VisionTransformer) -> VisionTransformer:
    """A description that takes a data set's class names if the model has none of its own.

    They are taken only if there are as many of them as the model has classes.
    """
    names = None if vit.class_names else class_names_of(images)
    return with_classes(vit, names, None) if names and len(names) == vit.num_classes else vit


def number_classes(
    labels: Sequence[Label], class_names: Sequence[str] | None
) -> tuple[Tensor, list[str]]:
    """Labels as indices [image] int64, and what the indices are called.

    Raises
    ------
    ParameterError
        If some labels are names and others indices, or ``class_names`` lacks one.
    """
    kinds = {isinstance(label, str) for label in labels}
    if len(kinds) == 2:
        raise ParameterError("Some labels are names, others are indices: give all of one kind.")
    names = None if class_names is None else [str(name) for name in class_names]
    if kinds == {True}:
        names = names or sorted({str(label) for label in labels})
        unknown = next((label for label in labels if label not in names), None)
        if unknown is not None:
            raise ParameterError(f"The label {unknown!r} is not one of class_names, {names!r}.")
        return torch.tensor([names.index(str(label)) for label in labels]), names
    index = torch.tensor([int(label) for label in labels])
    highest = int(index.max())
    names = names or [f"class {i}" for i in range(highest + 1)]
    if highest >= len(names):
        raise ParameterError(
            f"A label is {highest}, but there are {len(names)} class_names: give one for each."
        )
    return index, names
