"""Images that are read once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.images import ImageLike
from .items import ImagesLike, in_memory, is_image, items
from .labels_by_output import presences
from .reader import batches, samples

__all__ = ["KeptInputs", "kept_inputs", "raw_image", "raw_images", "read_once"]

_AT_ONCE = 16


@dataclass(frozen=True)
class KeptInputs:
    """Images as model input.

    Attributes
    ----------
    entries : list of (Tensor, int or None)
        Model input [channel, height, width] on the CPU, and class index.
    presences : Tensor or None
        Which classes are present, [image, class] bool, if the labels mark every class.
    """

    entries: list[tuple[Tensor, int | None]]
    presences: Tensor | None = None


def kept_inputs(vit: VisionTransformer, images: ImagesLike) -> KeptInputs:
    """Read images as model input.

    Raises
    ------
    ParameterError
        If some images have a label and others have none.
    ImageError
        If there is none, or one cannot be read.
    TargetError
        If a label is no class of the model.
    """
    kept: list[tuple[Tensor, int | None]] = []
    there: list[Tensor] = []
    for batch in batches(images, None, _AT_ONCE):
        inputs, labels = batch.prepared(vit)
        if isinstance(batch.target, list) and labels is None:
            rows = presences(batch.target, vit)
            there += [] if rows is None else [rows]
        kept += zip(inputs.cpu(), labels or [None] * len(inputs), strict=True)
    labeled = [label is not None for _, label in kept]
    if any(labeled) and not all(labeled):
        raise ParameterError(
            "Some images of the set have a label, but others have none, such as image "
            f"{labeled.index(False)}: give all of them one, or none."
        )
    return KeptInputs(kept, torch.cat(there) if there else None)


class _Samples(list[object]):
    """What a data set yielded, which still says what its classes are called."""

    def __init__(self, dataset: ImagesLike) -> None:
        super().__init__(samples(dataset))
        self.dataset = dataset


def read_once(images: ImagesLike) -> ImagesLike:
    """Images that can be read again in the same order: a shuffling loader becomes a list."""
    again = is_image(images) or in_memory(images) or isinstance(images, Sequence)
    return images if again else _Samples(images)


def raw_images(images: ImagesLike | None, total: int) -> list[ImageLike]:
    """The images as they were given; empty unless all are held in memory one by one."""
    if images is None or not in_memory(images):
        return []
    each = list(items(images))
    if any(isinstance(item.images, Tensor) for item in each):  # a batch of some model's input
        return []
    raw = [image for item in each for image in item.images if is_image(image)]
    return raw if len(raw) == total else []


def raw_image(images: ImagesLike, index: int, total: int) -> ImageLike:
    """An image as it was given, before any model's preparation.

    Raises
    ------
    ParameterError
        If the set is no list of images.
    """
    raw = raw_images(images, total)
    if not raw:
        raise ParameterError(
            "Each model prepares an image by itself, but this one is of a data set that was read "
            "as one model's input: give image_set as a list of images."
        )
    return raw[index]
