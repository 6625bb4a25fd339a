"""Further images beside the one that is looked at: as given, and as model input."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from torch import Tensor

from ..data.items import ImagesLike
from ..data.kept import KeptInputs, kept_inputs, raw_image, raw_images
from ..models import VisionTransformer
from ..models.images import ImageLike
from .subject import image_name

__all__ = ["ImageSet"]


class ImageSet:
    """Images with their labels, if any, read once and kept as one model's input.

    Parameters
    ----------
    given : list, data set or loader
        As the user gave it.
    kept : KeptInputs
        Model input, class index, and which classes are present, of each image.
    """

    def __init__(self, given: ImagesLike, kept: KeptInputs) -> None:
        self.given = given
        self.entries, self.presences = kept.entries, kept.presences

    @classmethod
    def read(cls, vit: VisionTransformer, images: ImagesLike) -> ImageSet:
        """Read images as input of a model.

        Raises
        ------
        ParameterError, ImageError, TargetError
        """
        images = list(images) if isinstance(images, Iterator) else images
        return cls(images, kept_inputs(vit, images))

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def inputs(self) -> list[Tensor]:
        """Model input of each image, [channel, height, width]."""
        return [image for image, _ in self.entries]

    @property
    def labels(self) -> list[int] | None:
        """Class index of each image; None without labels."""
        return [label for _, label in self.entries if label is not None] or None

    @property
    def with_truth(self) -> list[tuple[Tensor, int | Tensor | None]] | None:
        """Model input of each image with what is true of it: its class, or 0 or 1 of each class."""
        if self.presences is not None:
            return list(zip(self.inputs, self.presences.int(), strict=True))
        return None if self.labels is None else list(self.entries)

    @property
    def names(self) -> list[str]:
        """File name of each image, "" where one has none; an empty list if no image has a name."""
        names = [image_name(image) for image in raw_images(self.given, len(self))]
        names = ["" if name == "image" else name for name in names]
        return names if any(names) else []

    def name(self, index: int) -> str:
        """File name of an image, or its number."""
        names = self.names
        return (names[index] if names else "") or f"image {index}"

    def as_input(self, index: int) -> ImageLike:
        """What the model is given of an image."""
        return self.inputs[index]

    def raw(self, index: int) -> ImageLike:
        """An image as it was given, before any model's preparation; see ``raw_image``."""
        return raw_image(self.given, index, len(self))

    def for_model(self, vit: VisionTransformer) -> ImageSet:
        """The same images as input of another model."""
        return ImageSet.read(vit, self.given)

    def relabeled(self, before: VisionTransformer, class_names: list[str]) -> ImageSet:
        """The same inputs with labels that mean the same names; without labels if one is missing.

        Parameters
        ----------
        before : VisionTransformer
            The model whose classes the labels are.
        class_names : list of str
            What the classes are called from now on.
        """
        index = {name: i for i, name in enumerate(class_names)}
        labels = [None if y is None else index.get(before.class_name(y)) for _, y in self.entries]
        if None in labels:
            labels = [None] * len(labels)
        return ImageSet(self.given, KeptInputs(list(zip(self.inputs, labels, strict=True))))
