"""What a folder says of images, in the form in which the browser takes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ImageError, ParameterError
from ..models.images import load_image
from ..overview.stored.images import StoredImages
from ..overview.stored.sample import chosen
from ..overview.stored.summary import Summary
from ..protocol.schema.tensors import (
    StoredHeads,
    StoredHeadsMetadata,
    StoredImage,
    StoredImageMetadata,
    StoredPictures,
    StoredPoints,
    StoredPointsMetadata,
)
from ..protocol.tensors import encode
from ..support.progress import Progress

__all__ = ["MOST_PICTURES", "Box", "heads_of", "image_of", "pictures_of", "points_of"]

MOST_PICTURES = 16
_SIDE = 64
"""Of a small picture, in pixels."""

_NO_CLASS = 65_535
_HOME = 0.002
"""Share of the points beyond either edge of what is shown at first, of many."""

_MANY = 2000

_BEYOND = 4.0
"""Points further out than so many times what is shown at first lie at the edge."""


class Box(NamedTuple):
    """A part of the plane."""

    left: float
    right: float
    bottom: float
    top: float


def heads_of(summary: Summary, of_class: int, progress: Progress) -> bytes:
    """Mean and histogram of every head over all images, and over those of a class."""
    shape = summary.mean().shape
    counts, low, high = summary.histogram.used()
    tensors: StoredHeads = {
        "mean": summary.mean(),
        "bins": counts.reshape(*shape, -1).astype(np.float32),
    }
    if of_class >= 0:
        bins = summary.histogram_of_class(of_class, progress)
        tensors["class_mean"] = summary.mean(of_class)
        tensors["class_bins"] = bins.reshape(*shape, -1).astype(np.float32)
    metadata: StoredHeadsMetadata = {
        "quantity": summary.quantity,
        "of_class": of_class,
        "images": summary.count,
        "low": low,
        "high": high,
    }
    return encode(tensors, metadata)


def points_of(summary: Summary, within: Box | None = None) -> bytes:
    """Images as points, at most so many as are drawn: of the whole plane, or of a part of it."""
    places, classes = summary.points()
    (images,) = np.isfinite(places[:, 0]).nonzero()
    box, home = _extent(places[images])
    total = len(images)
    places = np.clip(places, (box.left, box.bottom), (box.right, box.top))
    if within is not None:
        x, y = places[images].T
        inside = (x >= within.left) & (x <= within.right)
        images = images[inside & (y >= within.bottom) & (y <= within.top)]
    images = chosen(images)
    low = np.array((box.left, box.bottom))
    span = np.maximum(np.array((box.right, box.top)) - low, 1e-12)
    of_class = np.where(classes < 0, _NO_CLASS, np.minimum(classes, _NO_CLASS))
    tensors: StoredPoints = {
        "places": np.rint((places[images] - low) / span * 65_535).astype(np.uint16),
        "classes": of_class[images].astype(np.uint16),
    }
    if len(images) < len(places):
        tensors["images"] = images.astype(np.uint32)
    metadata: StoredPointsMetadata = {
        "left": box.left,
        "right": box.right,
        "bottom": box.bottom,
        "top": box.top,
        "home_left": home.left,
        "home_right": home.right,
        "home_bottom": home.bottom,
        "home_top": home.top,
        "share": 0.0 if summary.plane is None else summary.plane.share,
        "total": total,
    }
    return encode(tensors, metadata)


def _extent(places: NDArray[np.float32]) -> tuple[Box, Box]:
    """Where all points lie, but for those far out, and where almost all lie."""
    if not len(places):
        return Box(-1, 1, -1, 1), Box(-1, 1, -1, 1)
    out = _HOME if len(places) >= _MANY else 0
    low, high = np.quantile(places, (out, 1 - out), axis=0).astype(float)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2 * 1.04, 1e-6)
    furthest = np.maximum(_BEYOND * half, half)
    least = np.maximum(places.min(0), middle - furthest)
    most = np.minimum(places.max(0), middle + furthest)
    least, most = np.minimum(least, middle - half), np.maximum(most, middle + half)
    boxes = ((least, most), (middle - half, middle + half))
    everything, home = (Box(float(a[0]), float(b[0]), float(a[1]), float(b[1])) for a, b in boxes)
    return everything, home


def image_of(stored: StoredImages, quantity: str, index: int) -> bytes:
    """One image's values, and what it is called."""
    ((_, values),) = stored.values(quantity, index, index + 1)
    tensors: StoredImage = {"values": values[0]}
    metadata: StoredImageMetadata = {
        "name": stored.name(index),
        "of_class": int(stored.classes(index, index + 1)[0]),
        "probability": stored.probability(index),
        "why_not": _why_not(stored, index),
    }
    return encode(tensors, metadata)


def _why_not(stored: StoredImages, index: int) -> str:
    try:
        stored.raw(index)
    except ParameterError as error:
        return str(error)
    return ""


def pictures_of(stored: StoredImages, images: list[int]) -> bytes:
    """Small square pictures of those images whose files can be read."""
    read: dict[int, Image.Image] = {}
    for image in images:
        try:
            read[image] = load_image(stored.raw(image)).convert("RGB")
        except (ParameterError, ImageError):
            continue
    small = [np.asarray(_square(picture), np.uint8) for picture in read.values()]
    tensors: StoredPictures = {
        "thumbnails": np.stack(small) if small else np.zeros((0, _SIDE, _SIDE, 3), np.uint8),
        "images": np.array(list(read), np.uint32),
    }
    return encode(tensors)


def _square(picture: Image.Image) -> Image.Image:
    """The middle of a picture."""
    side = min(picture.size)
    left, top = ((length - side) / 2 for length in picture.size)
    return picture.resize(
        (_SIDE, _SIDE),
        Image.Resampling.BILINEAR,
        (left, top, left + side, top + side),
        reducing_gap=2.0,
    )
