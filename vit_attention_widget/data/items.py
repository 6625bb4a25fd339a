"""What a user gives as images, item by item: an image or a batch, and the labels with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeGuard, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError, VitAttentionError
from ..models.images import ImageLike, picture_name
from ..models.tensor_input import check_plain
from ..support.words import said
from .columns import Columns, columns_of, split_mapping

__all__ = [
    "ImagesLike",
    "IndexedImages",
    "Item",
    "count_images",
    "each_item",
    "in_memory",
    "is_image",
    "items",
    "listed",
]


class IndexedImages(Protocol):
    """A data set that is read by index only, as a map-style ``torch.utils.data.Dataset`` is."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> object: ...


ImagesLike: TypeAlias = ImageLike | Iterable[object] | Mapping[str, object] | IndexedImages
"""Images as users give them: one image, a list, array or tensor of them, a data set or a loader.

What a list, a data set, a loader or a generator yields may be images, (image, label), (images,
labels), or mappings with ``image``, ``images``, ``img`` or ``pixel_values``, and with ``label``,
``labels`` or ``cls``: one sample or a batch. Columns under other names are found where the data
set declares one of images and one of classes, as Hugging Face's do, or where one entry alone is a
picture. Labels of a data set that names its classes are matched with the model's by name.
"""


@dataclass(frozen=True)
class Item:
    """Images that came together.

    Attributes
    ----------
    images : Tensor or list
        A float tensor [image, 3, height, width], or a list of images.
    labels : list or None
        The label of each image.
    is_batch : bool
        Whether they came as a batch, which may hold a single image.
    """

    images: Tensor | list[object]
    labels: list[object] | None
    is_batch: bool

    def __len__(self) -> int:
        return len(self.images)


def items(images: ImagesLike) -> Iterator[Item]:
    """What was given, in order.

    Raises
    ------
    ImageError, ParameterError
        If an item is a mapping without an image, has another number of labels than of images, or
        cannot be read from a data set.
    """
    for item in each_item(images):
        if isinstance(item, ImageError):
            raise item
        yield item


def each_item(images: ImagesLike) -> Iterator[Item | ImageError]:
    """What was given, in order; in place of an item that cannot be read, why."""
    if is_image(images):
        yield Item([images], None, is_batch=False)
    elif _is_whole(images):
        yield _item(images, 0, Columns())
    else:
        columns = columns_of(images)
        for number, item in enumerate(_each(images)):
            try:
                yield item if isinstance(item, ImageError) else _item(item, number, columns)
            except ImageError as error:
                yield error


def count_images(images: ImagesLike | None) -> int | None:
    """How many images there are, where that is known without reading them."""
    if images is None:
        return 0
    if is_image(images) or _is_whole(images) or in_memory(images):
        return sum(len(item.images) for item in items(images))
    if not _is_indexed(images) and hasattr(images, "dataset"):
        return count_images(images.dataset)  # a loader's length counts batches
    try:
        return len(images) if isinstance(images, Sized) else None
    except (TypeError, NotImplementedError):
        return None


def in_memory(images: ImagesLike) -> bool:
    """Whether all images are there to be looked at again: no data set, loader or generator."""
    return _is_whole(images) or isinstance(images, list | tuple)


def is_image(value: object) -> TypeGuard[ImageLike]:
    """Whether this is one image rather than several, and not a data set."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return False  # of paths, or of images
    if isinstance(value, Tensor):
        return check_plain(value).ndim <= 3
    if isinstance(value, np.ndarray):
        return value.ndim <= 3
    if isinstance(value, str | bytes | bytearray | memoryview | os.PathLike | Image.Image):
        return True
    if hasattr(value, "read") or hasattr(value, "__array_interface__"):
        return True
    return not isinstance(value, Iterable) and not _is_indexed(value)  # it is refused when read


@overload
def listed(labels: Sequence[object] | Tensor | NDArray[np.generic]) -> Sequence[object]: ...


@overload
def listed(labels: object) -> object: ...


def listed(labels: object) -> object:
    """Labels or a label without array or tensor around them."""
    return labels.tolist() if isinstance(labels, Tensor | np.ndarray | np.generic) else labels


def _each(images: ImagesLike) -> Iterator[object]:
    """What an iterable yields, or what lies in a data set that is only indexed."""
    if isinstance(images, Iterable):
        yield from images
    elif _is_indexed(images):
        for index in range(len(images)):
            try:
                item = images[index]
            except ImageError as error:
                item = error
            except VitAttentionError:
                raise
            except Exception as error:  # it may raise anything
                item = _unreadable(images, index, error)
            yield item


def _unreadable(images: object, index: int, error: Exception) -> ImageError:
    """An image of a data set by its number, and by its path where it has `.samples`."""
    try:
        path = f" ({picture_name(getattr(images, 'samples', ())[index][0])})"
    except Exception:
        path = ""
    unreadable = ImageError(
        f"Image {index} of the data set{path} cannot be read: {said(error)}. "
        "vaw.readable_images(model, images) goes on without it."
    )
    unreadable.__cause__ = error
    return unreadable


def _is_indexed(images: object) -> TypeGuard[IndexedImages]:
    return hasattr(images, "__getitem__") and hasattr(images, "__len__")


def _is_whole(images: object) -> bool:
    """Whether all that was given is one item, such as a tensor or what a loader yields."""
    if isinstance(images, Mapping) or _is_stack(images):
        return True
    if not isinstance(images, list | tuple) or len(images) != 2 or not _is_stack(images[0]):
        return False
    labels = listed(images[1])
    return isinstance(labels, list | tuple) and all(isinstance(y, int | str) for y in labels)


def _is_stack(images: object) -> TypeGuard[Tensor | NDArray[np.generic]]:
    if isinstance(images, Tensor):
        return check_plain(images).ndim > 3
    return isinstance(images, np.ndarray) and images.ndim > 3


def _item(item: object, number: int, columns: Columns) -> Item:
    images, labels = _split(item, number, columns)
    labels = listed(labels)
    if not _is_stack(images) and not isinstance(images, list | tuple):
        one = labels[0] if isinstance(labels, list | tuple) and len(labels) == 1 else labels
        return Item([images], None if one is None else [one], is_batch=False)
    if not isinstance(images, Tensor) or not images.is_floating_point():
        images = list(images)
    if labels is None:
        return Item(images, None, is_batch=True)
    each = list(labels) if isinstance(labels, list | tuple) else [labels] * len(images)
    if len(each) != len(images):
        raise ParameterError(
            f"Item {number} of the images holds {len(images)} images and {len(each)} labels: give "
            "one label for each image."
        )
    return Item(images, [listed(label) for label in each], is_batch=True)


def _split(item: object, number: int, columns: Columns) -> tuple[object, object]:
    """The images and the labels of an item."""
    if isinstance(item, Mapping):
        name, images, labels = split_mapping(item, number, columns)
        return _as_model_input(images) if name == "pixel_values" else images, labels
    if isinstance(item, list | tuple):
        if not item:
            raise ImageError(f"Item {number} of the images is empty: give an image.")
        if len(item) == 1:
            return item[0], None
        if not _is_list_of_images(item):
            return item[0], item[1]
    return item, None


def _as_model_input(values: object) -> object:
    """A processor's output as tensors: unless told otherwise it returns float arrays."""
    if isinstance(values, np.ndarray) and np.issubdtype(values.dtype, np.floating):
        return torch.from_numpy(values)
    return [_as_model_input(value) for value in values] if isinstance(values, list) else values


def _is_list_of_images(item: Sequence[object]) -> bool:
    """A list of images, not (images, labels): the second looks like the first."""
    return (
        isinstance(item, list)
        and type(item[0]) is type(item[1])
        and is_image(item[0])
        and is_image(item[1])
        and getattr(item[1], "ndim", 3) == 3
    )
