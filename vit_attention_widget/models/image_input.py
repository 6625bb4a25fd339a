"""Pictures to model input and back, by the model's own preprocessing."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ..errors import ImageError
from ..support.deprecation import renamed_attribute
from ..support.warn import warn_caller
from ..support.words import said
from .images import ImageLike, load_image, picture_name
from .picture_limits import check_resized, out_of_memory
from .pictures import pictures
from .preparation import Normalization, Preparation
from .tensor_input import check_model_input

__all__ = ["ImageInput", "Normalization", "pictures"]

Described = TypeVar("Described", bound="ImageInput")


class ImageInput(ABC):
    """What a model takes as its input.

    Attributes
    ----------
    model : nn.Module
        The user's own model; it is never changed.
    preparation : Preparation
        How pictures become its input.
    channels : int
        Of its input.
    display : tuple of int or None
        Channels to show as red, green and blue; the first three by default.
    """

    model: nn.Module
    preparation: Preparation
    channels: int = 3
    display: tuple[int, int, int] | None = None

    @property
    def device(self) -> torch.device:
        """Where the model's parameters live."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The model's parameter type."""
        return next(self.model.parameters()).dtype

    def transform(self, image: Image.Image) -> Tensor:
        """The model's own preprocessing: an RGB picture -> [channel, height, width]."""
        return self.preparation.transform(image)

    @property
    def normalization(self) -> Normalization:
        """Mean and standard deviation of the model's input, per channel, on a scale of 0 to 1."""
        return self.preparation.normalization

    normalisation = renamed_attribute("normalization")

    def prepared_by(self: Described, preparation: Preparation) -> Described:
        """The same description with another preparation."""
        other = copy.copy(self)
        vars(other).pop("input_size", None)
        other.preparation = preparation
        return other

    def prepare(
        self,
        images: ImageLike | Sequence[object] | NDArray[np.generic] | Mapping[str, object],
        *,
        warn: bool = True,
    ) -> Tensor:
        """Turn images into model inputs on the model's device and in its dtype.

        Parameters
        ----------
        images : image, float tensor, list of images, or mapping
            A path, bytes, PIL image or HWC uint8 array goes through the model's own
            preprocessing. A float tensor [channel, H, W] or [batch, channel, H, W] is taken as
            model input, and so are the ``pixel_values`` of what a processor returns.
        warn : bool
            Warn of a tensor that looks as if it were not normalized.

        Returns
        -------
        Tensor
            [batch, channel, height, width].

        Raises
        ------
        ImageError
            If something cannot be read, becomes too large on its way, or makes the preprocessing
            fail, or if the images differ in size after preprocessing.

        Warns
        -----
        UserWarning
            If all values of a tensor lie in 0..1, for a model that was trained on normalized ones.
        """
        if isinstance(images, Mapping):
            images = _pixel_values(images)
        if isinstance(images, Tensor) and images.is_floating_point():
            inputs = check_model_input(images, self.channels)
            if warn:
                self._check_normalized(inputs)
            return inputs.detach().to(self.device, self.dtype)
        several = images if isinstance(images, list | tuple) else [images]
        if not several:
            raise ImageError("The list of images is empty: give at least one.")
        parts = [
            check_model_input(image, self.channels)
            if isinstance(image, Tensor) and image.is_floating_point()
            else self._transformed(image)[None]
            for image in several
        ]
        sizes = {tuple(part.shape[1:]) for part in parts}
        if len(sizes) > 1:
            raise ImageError(
                f"The images differ in size after preprocessing ({sorted(sizes)}): "
                "one batch needs one size; trace them one by one."
            )
        return torch.cat(parts).to(self.device, self.dtype)

    def says_preparation(self, images: object) -> str:
        """How images like these become model input, and on what ground."""
        if isinstance(images, Mapping) or (
            isinstance(images, Tensor) and images.is_floating_point()
        ):
            return "taken as model input, as they were given"
        return str(self.preparation)

    def picture(self, inputs: Tensor) -> list[Image.Image]:
        """What the model sees: inputs [batch, channel, height, width] back as RGB pictures."""
        return pictures(inputs, self.normalization, self.display)

    def _check_normalized(self, inputs: Tensor) -> None:
        preparation = self.preparation
        if preparation.assumed or not preparation.normalizes:
            return
        low, high = inputs.min(), inputs.max()
        if low >= 0 and 0.5 < high <= 1 and low < high:
            warn_caller(
                f"All values of the tensor lie in 0..1, but the model was trained on values with "
                f"the mean {_listed(preparation.normalization[0])} taken off and divided by "
                f"{_listed(preparation.normalization[1])}. Normalize it, or give the pictures "
                "themselves (uint8, PIL or paths)."
            )

    def _transformed(self, source: object) -> Tensor:
        """One picture by the model's own preprocessing, [channel, height, width]."""
        image, name = load_image(source), picture_name(source)
        try:
            check_resized(image.height, image.width, self.input_size, name)
            return self.transform(image)
        except ImageError:
            raise
        except MemoryError as error:
            raise out_of_memory(name) from error
        except Exception as error:
            raise ImageError(
                f"{name} ({image.height} x {image.width} pixels) cannot be prepared for "
                f"{type(self.model).__name__}: {said(error)}."
            ) from error

    @cached_property
    def input_size(self) -> tuple[int, int]:
        """Height and width that the preprocessing makes of a small square."""
        height, width = self.transform(Image.new("RGB", (32, 32))).shape[-2:]
        return height, width


def _pixel_values(images: Mapping[str, object]) -> Tensor:
    """What a processor made, whether of tensors, arrays or lists."""
    if "pixel_values" not in images:
        raise ImageError(
            f"The mapping has {', '.join(map(repr, list(images)[:5])) or 'nothing'}, but no "
            "'pixel_values', as what a processor returns."
        )
    values = images["pixel_values"]
    if isinstance(values, list | tuple):
        return torch.stack([torch.as_tensor(np.asarray(value)) for value in values]).float()
    return torch.as_tensor(values)


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values[:3])
