"""Pictures to model input and back, by the model's own preprocessing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import ImageError
from ..support.deprecation import renamed_attribute
from .images import ImageLike, load_image, picture_name
from .picture_limits import check_resized, out_of_memory, said
from .tensor_input import check_model_input

__all__ = ["ImageInput", "Normalization", "pictures"]

Normalization: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of a model's input, per channel, on a scale of 0 to 1."""


class ImageInput(ABC):
    """What a model takes as its input.

    Attributes
    ----------
    model : nn.Module
        The user's own model; it is never changed.
    """

    model: nn.Module

    @property
    def device(self) -> torch.device:
        """Where the model's parameters live."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The model's parameter type."""
        return next(self.model.parameters()).dtype

    @abstractmethod
    def transform(self, image: Image.Image) -> Tensor:
        """The model's own preprocessing: an RGB picture -> [3, height, width]."""

    @property
    @abstractmethod
    def normalization(self) -> Normalization:
        """Mean and standard deviation of the model's input, per channel, on a scale of 0 to 1."""

    normalisation = renamed_attribute("normalization")

    def prepare(self, images: ImageLike | Sequence[ImageLike]) -> Tensor:
        """Turn images into model inputs on the model's device and in its dtype.

        Parameters
        ----------
        images : image, float tensor, or list of images
            A path, bytes, PIL image or HWC uint8 array goes through the model's own
            preprocessing. A float tensor [3, H, W] or [batch, 3, H, W] is taken as model input.

        Returns
        -------
        Tensor
            [batch, 3, height, width].

        Raises
        ------
        ImageError
            If something cannot be read, becomes too large on its way, or makes the preprocessing
            fail, or if the images differ in size after preprocessing.
        """
        if isinstance(images, Tensor) and images.is_floating_point():
            inputs = check_model_input(images)
            return inputs.detach().to(self.device, self.dtype)
        several = images if isinstance(images, list | tuple) else [cast(ImageLike, images)]
        if not several:
            raise ImageError("The list of images is empty: give at least one.")
        parts = [
            check_model_input(image)
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

    def _transformed(self, source: ImageLike) -> Tensor:
        """One picture by the model's own preprocessing, [3, height, width]; or an ImageError."""
        image, name = load_image(source), picture_name(source)
        try:
            check_resized(image.height, image.width, self._input_size, name)
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
    def _input_size(self) -> tuple[int, int]:
        """Height and width that the preprocessing makes of a small square."""
        height, width = self.transform(Image.new("RGB", (32, 32))).shape[-2:]
        return height, width

    def picture(self, inputs: Tensor) -> list[Image.Image]:
        """What the model sees: inputs [batch, 3, height, width] back as RGB pictures."""
        return pictures(inputs, self.normalization)


def pictures(inputs: Tensor, normalization: Normalization) -> list[Image.Image]:
    """Model inputs [batch, 3, height, width] as RGB pictures."""
    mean, std = (torch.tensor(v, device=inputs.device).view(3, 1, 1) for v in normalization)
    pixels = (inputs.detach().float() * std + mean).clamp(0, 1).mul(255).round()
    arrays = pixels.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()
    return [Image.fromarray(np.ascontiguousarray(array)) for array in arrays]
