"""Which entries of a sample are its image and its label: by name, by declared type, or by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import ParameterError
from ..models.class_names import LABEL_COLUMNS, features_of, label_columns

__all__ = ["IMAGE_COLUMNS", "Columns", "columns_of", "split_mapping"]

IMAGE_COLUMNS = ("image", "pixel_values", "images", "img")


@dataclass(frozen=True)
class Columns:
    """What a data set declares to be its images and labels; None where it declares none."""

    image: str | None = None
    label: str | None = None


def columns_of(images: object) -> Columns:
    """The columns that a data set of Hugging Face's, or what holds one, declares.

    Raises
    ------
    ParameterError
        If several columns hold classes, and none has the name of a label.
    """
    features = features_of(images)
    pictures = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    labels = label_columns(features)
    if len(labels) > 1:
        raise ParameterError(
            f"The data set has several columns of classes, {', '.join(labels)}: say which is meant "
            f"by images.rename_column({labels[0]!r}, 'label')."
        )
    return Columns(
        pictures[0] if len(pictures) == 1 else None, labels[0] if len(labels) == 1 else None
    )


def split_mapping(
    item: Mapping[str, object], number: int, columns: Columns
) -> tuple[str, object, object]:
    """Name and content of a sample's image, or of a batch's images, and the labels or None.

    Raises
    ------
    ParameterError
        If there is no image, or several entries could be one.
    """
    named = [name for name in IMAGE_COLUMNS if item.get(name) is not None][:1]
    declared = [name for name in (columns.image,) if name is not None and name in item]
    pictures = named or declared or [name for name, value in item.items() if _is_picture(value)]
    if len(pictures) != 1:
        raise ParameterError(f"Item {number} of the images is a mapping {_why(item, pictures)}")
    labels = [*LABEL_COLUMNS, columns.label]
    label = next((item[name] for name in labels if name is not None and name in item), None)
    return pictures[0], _undecoded(item[pictures[0]]), label


def _why(item: Mapping[str, object], pictures: list[str]) -> str:
    names = sorted(map(str, item))
    if pictures:
        return f"in which {', '.join(pictures)} are pictures: call the one that is meant `image`."
    if item and all(hasattr(value, "__len__") and features_of(value) for value in item.values()):
        return f"of data sets, {', '.join(names)}: give one of them, e.g. images[{names[0]!r}]."
    return f"with {names}: an entry `image` or `pixel_values` was expected."


def _is_picture(value: object) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return value.ndim >= 3
    return isinstance(value, Image.Image) or _is_undecoded(value)


def _is_undecoded(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"bytes", "path"}


def _undecoded(value: object) -> object:
    """File or bytes of pictures that a data set was told not to decode."""
    if isinstance(value, list):
        return [_undecoded(each) for each in value]
    if not isinstance(value, Mapping) or not _is_undecoded(value):
        return value
    return value["path"] if value["bytes"] is None else value["bytes"]
