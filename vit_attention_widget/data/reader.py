"""Images from one picture to a loader, a few at a time and in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ImageError, ParameterError, TargetError
from ..models import VisionTransformer
from ..models.classes import class_index
from .items import ImagesLike, Item, count_images, each_item, in_memory, is_image, items, listed
from .labels_by_name import classes_by_name, names_of_labels
from .labels_by_output import class_labels

__all__ = ["Batch", "Labeled", "batches", "has_one_each", "samples"]


class Labeled(NamedTuple):
    """An image with the label that came with it."""

    image: object
    label: object


@dataclass(frozen=True)
class Batch:
    """Some of the images.

    Attributes
    ----------
    images : Tensor or list
        A float tensor [image, 3, height, width], or a list of images.
    target : object
        What is explained: one target for all, a list with one each, or None.
    first : int
        Number of the first image among all.
    is_alone : bool
        Whether a single image was given, which needs no number in messages.
    is_labeled : bool
        Whether the targets are labels that came with the images.
    label_names : sequence of str or None
        What these labels count, where their data set says so.
    """

    images: Tensor | list[object]
    target: Any = None  # what comes with images may be anything
    first: int = 0
    is_alone: bool = False
    is_labeled: bool = False
    label_names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def told(self) -> Tensor | list[object]:
        """What these are told from others by: the images, and the labels that came with them."""
        if not self.is_labeled:
            return self.images
        pairs = zip(self.images, self.target, strict=True)  # what cannot be read has no label
        return [Labeled(x, None if isinstance(x, ImageError) else label) for x, label in pairs]

    def inputs(self, vit: VisionTransformer) -> Tensor:
        """Model inputs, [image, 3, height, width] on the model's device and in its dtype.

        Raises
        ------
        ImageError
            With the number of the image that cannot be read.
        """
        if isinstance(self.images, list):
            for image in self.images:
                if isinstance(image, ImageError):  # its data set could not read it
                    raise image
        try:
            return vit.prepare(self.images)
        except ImageError as error:
            raise ImageError(self._named(error, vit)) from error

    def inputs_by_size(self, vit: VisionTransformer) -> Iterator[Tensor]:
        """:meth:`inputs`, one by one where the images differ in size after preprocessing."""
        if isinstance(self.images, Tensor):
            yield self.inputs(vit)
            return
        parts = [self.part(index, index + 1).inputs(vit) for index in range(len(self))]
        if len({part.shape for part in parts}) == 1:
            yield torch.cat(parts)
        else:
            yield from parts

    def prepared(self, vit: VisionTransformer) -> tuple[Tensor, Any]:
        """:meth:`inputs` and :meth:`classes`.

        Raises
        ------
        ImageError, TargetError
            With the number of the image that cannot be read or whose class does not exist.
        """
        target = self.classes(vit)
        return self.inputs(vit), target

    def classes(self, vit: VisionTransformer) -> Any:
        """The target, as a list of classes by index where there is one for each image.

        Labels that came with the images but are no classes of the model (of a model of values, or
        of all classes at once) are no target.

        Raises
        ------
        TargetError
            With the number of the image whose class does not exist, or if the data set's classes
            are not the model's.
        """
        target = self.target
        if vit.has_classes and isinstance(target, list):
            if self.is_labeled:
                target = class_labels(target, vit)
                if target is not None:
                    target = classes_by_name(target, self.label_names, vit)
            if target is not None:
                target = [self._class_index(each, n, vit) for n, each in enumerate(target)]
        return target

    def part(self, start: int, stop: int) -> Batch:
        """Some of these images."""
        chosen = slice(start, stop)
        target = self.target[chosen] if isinstance(self.target, list) else self.target
        return replace(self, images=self.images[chosen], target=target, first=self.first + start)

    def one_by_one(self) -> Iterator[Batch]:
        """Each image by itself."""
        return (self.part(number, number + 1) for number in range(len(self)))

    def halves(self) -> tuple[Batch, Batch] | None:
        """Two smaller batches; None of a single image."""
        middle = (len(self) + 1) // 2
        return (self.part(0, middle), self.part(middle, len(self))) if len(self) > 1 else None

    def _class_index(self, target: object, number: int, vit: VisionTransformer) -> int:
        try:
            return class_index(target, vit)
        except TargetError as error:
            raise TargetError(f"{self._name(number)}{error}") from error

    def _named(self, error: ImageError, vit: VisionTransformer) -> str:
        if isinstance(self.images, Tensor):  # the message counts from the first of this batch
            last = self.first + len(self) - 1
            return f"Images {self.first} to {last}: {error}" if self.first else str(error)
        for number, image in enumerate(self.images):
            try:
                vit.prepare([image])
            except ImageError as cause:
                return f"{self._name(number)}{cause}"
        return str(error)

    def _name(self, number: int) -> str:
        return "" if self.is_alone else f"Image {self.first + number}: "


def batches(images: ImagesLike | None, target: object, size: int) -> Iterator[Batch]:
    """Read images with their targets, at most ``size`` at a time.

    Parameters
    ----------
    images : image, list, array, tensor, data set or loader
        See :data:`~.items.ImagesLike`. What a loader yields stays together, so that a batch never
        holds images of two of the loader's.
    target : optional
        Of all images, or a list with one each; None takes the labels that come with them, if any.
    size : int

    Raises
    ------
    ParameterError
        If targets are given one per image beside a data set, which brings its own order, or
        if some images of a batch have a label and others have none.
    TargetError
        If the targets are not as many as the images.
    ImageError
        If there are no images.
    """
    if images is None:
        raise ImageError("There are no images: give at least one.")
    each = _one_each(images, target)
    names = names_of_labels(images)
    first, waiting = 0, list[Item]()

    def batch(
        images: Tensor | list[object], labels: list[object] | None, alone: bool = False
    ) -> Batch:
        nonlocal first
        start, first = first, first + len(images)
        if each is not None:
            return Batch(images, each[start:first], start, alone)
        if target is not None:
            return Batch(images, target, start, alone)
        return Batch(images, labels, start, alone, labels is not None, names)

    def joined() -> Batch:
        labels = [None if item.labels is None else item.labels[0] for item in waiting]
        labels = _without_gaps(labels, waiting)
        gathered = [item.images[0] for item in waiting]
        waiting.clear()
        return batch(gathered, _complete(labels, first))

    for item in each_item(images):
        if isinstance(item, ImageError):  # in its place, until it is needed
            item = Item([item], None, is_batch=False)
        if not item.is_batch:
            if is_image(images):
                yield batch(item.images, item.labels, alone=True)
                return
            waiting.append(item)
            if len(waiting) == size:
                yield joined()
            continue
        if waiting:
            yield joined()
        for start in range(0, len(item.images), size):
            some = slice(start, start + size)
            labels = None if item.labels is None else _complete(item.labels[some], first)
            yield batch(item.images[some], labels)
    if waiting:
        yield joined()
    if not first:
        raise ImageError("There are no images: give at least one.")


def samples(images: ImagesLike) -> Iterator[tuple[object, object]]:
    """Read images one by one, each with its label or None."""
    for item in items(images):
        yield from zip(item.images, item.labels or [None] * len(item.images), strict=True)


def has_one_each(target: object) -> TypeGuard[Sequence[object] | Tensor | NDArray[np.generic]]:
    """Whether there is a target for each image, rather than one for all."""
    if isinstance(target, Tensor | np.ndarray):
        return target.ndim == 1
    return isinstance(target, Sequence) and not isinstance(target, str)


def _one_each(images: ImagesLike, target: object) -> list[object] | None:
    if not has_one_each(target):
        return None
    labeled = in_memory(images) and any(item.labels is not None for item in items(images))
    if labeled or not (is_image(images) or in_memory(images)):
        raise ParameterError(
            "Targets were given one per image beside a data set: let it yield (image, label), or "
            "give one target for all."
        )
    count = count_images(images)
    if count and len(target) != count:
        raise TargetError(f"{len(target)} targets were given for {count} images: give one each.")
    return list(listed(target))


def _without_gaps(labels: list[object], each: list[Item]) -> list[object]:
    """What cannot be read has no label: it has that of another, and is never given to a model."""
    some = next((label for label in labels if label is not None), None)
    return [
        some if isinstance(item.images[0], ImageError) else label
        for label, item in zip(labels, each, strict=True)
    ]


def _complete(labels: list[object], first: int) -> list[object] | None:
    """Labels of all images of a batch, or None where no image has one."""
    missing = [number for number, label in enumerate(labels) if label is None]
    if len(missing) == len(labels):
        return None
    if missing:
        raise ParameterError(
            f"Some images have a label, but others have none, such as image {first + missing[0]}: "
            "give all of them one, or none."
        )
    return labels
