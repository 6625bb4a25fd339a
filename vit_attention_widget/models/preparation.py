"""How pictures become a model's input, and on what ground this is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeGuard, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageError, ParameterError

if TYPE_CHECKING:
    from .image_input import ImageInput

__all__ = [
    "ImageProcessor",
    "Normalization",
    "Preparation",
    "by_processor",
    "by_transform",
    "prepared",
    "resized_and_cropped",
]

Normalization: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of a model's input, per channel, on a scale of 0 to 1."""

Described = TypeVar("Described", bound="ImageInput")


@dataclass(frozen=True)
class Preparation:
    """How pictures become a model's input.

    Attributes
    ----------
    transform : callable
        An RGB picture -> [channel, height, width].
    normalization : tuple
        Mean and standard deviation that ``transform`` ends with, per channel.
    name : str
        What it does, or is called.
    ground : str
        Why it is taken for the model's own.
    assumed : bool
        Whether nothing says that the model was trained so.
    """

    transform: Callable[[Image.Image], Tensor]
    normalization: Normalization
    name: str
    ground: str
    assumed: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.ground})"

    @property
    def normalizes(self) -> bool:
        """Whether values are moved or scaled at all."""
        mean, std = self.normalization
        return any(m != 0 for m in mean) or any(s != 1 for s in std)


def resized_and_cropped(
    size: tuple[int, int],
    normalization: Normalization,
    ground: str,
    *,
    crop: float = 1.0,
    channels: int = 3,
    assumed: bool = False,
) -> Preparation:
    """Resize the shorter side, crop the middle, normalize.

    Parameters
    ----------
    size : (int, int)
        Height and width of the input.
    normalization : tuple
        One value a channel; a single channel takes the mean of three.
    ground : str
    crop : float
        The share of the shorter side that is kept.
    channels : int
        3, or 1 for gray.
    assumed : bool
    """
    height, width = size
    mean, std = (torch.tensor(list(v), dtype=torch.float32) for v in normalization)
    if channels == 1:
        mean, std = mean.mean()[None], std.mean()[None]

    def transform(image: Image.Image) -> Tensor:
        if channels not in (1, 3):
            raise ImageError(
                f"The model takes {channels} channels a pixel, and a picture has 3. Give a float "
                f"tensor [{channels}, height, width], normalized as the model was trained."
            )
        scale = max(height / image.height, width / image.width) / crop
        resized = round(image.width * scale), round(image.height * scale)
        image = image.resize(resized, Image.Resampling.BICUBIC)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
        values = np.array(image if channels == 3 else image.convert("L"), dtype=np.float32)
        pixels = torch.from_numpy(values.reshape(height, width, channels) / 255).permute(2, 0, 1)
        return (pixels - mean[:, None, None]) / std[:, None, None]

    return Preparation(
        transform,
        (mean.tolist(), std.tolist()) if channels == 1 else normalization,
        f"resized and cropped to {height} x {width}",
        ground,
        assumed,
    )


class ImageProcessor(Protocol):
    """What is read of an image processor of transformers."""

    image_mean: Sequence[float] | None
    image_std: Sequence[float]
    size: object

    def __call__(self, **options: object) -> Mapping[str, object]:
        """What becomes of ``images``, among it the ``pixel_values``."""


def _is_processor(value: object) -> TypeGuard[ImageProcessor]:
    return callable(value) and hasattr(value, "image_mean")


def by_processor(
    processor: object,
    ground: str,
    normalization: Normalization | None = None,
    options: Mapping[str, object] | None = None,
) -> Preparation:
    """Prepare by an image processor of transformers.

    Parameters
    ----------
    processor : image processor, or a processor that holds one
    ground : str
    normalization : tuple, optional
        What ``options`` say, where it is not the processor's own.
    options : mapping, optional
        For each call, e.g. ``size``.

    Raises
    ------
    ParameterError
        If it is none.
    """
    prepare = getattr(processor, "image_processor", processor)
    if not _is_processor(prepare):
        raise ParameterError(
            f"The processor is a {type(prepare).__name__}, but an image processor of "
            "transformers was expected. Any other function of a picture is a transform=."
        )

    def transform(image: Image.Image) -> Tensor:
        values = prepare(images=image, return_tensors="pt", **(options or {}))["pixel_values"]
        return _one(values)

    if normalization is not None:
        pass
    elif getattr(prepare, "do_normalize", True) and prepare.image_mean is not None:
        normalization = list(prepare.image_mean), list(prepare.image_std)
    else:
        normalization = [0.0] * 3, [1.0] * 3
    return Preparation(transform, normalization, type(prepare).__name__, ground)


def by_transform(
    transform: Callable[[Image.Image], object], normalization: Normalization
) -> Preparation:
    """Prepare by a function of a picture, such as torchvision's.

    Parameters
    ----------
    transform : callable
        An RGB picture -> tensor [channel, height, width].
    normalization : tuple
        What to undo to show its result, unless a ``Normalize`` in it says so.

    Raises
    ------
    ParameterError
        If it is no function.
    """
    if not callable(transform):
        raise ParameterError(
            f"The transform is a {type(transform).__name__}, but a function of a picture was "
            "expected, e.g. one of torchvision.transforms."
        )
    for step in getattr(transform, "transforms", [transform]):
        if hasattr(step, "mean") and hasattr(step, "std"):
            normalization = [float(v) for v in step.mean], [float(v) for v in step.std]
    name = getattr(transform, "__name__", type(transform).__name__)
    return Preparation(lambda image: _one(transform(image)), normalization, name, "transform=")


def prepared(
    vit: Described, processor: object | None, transform: Callable[[Image.Image], Tensor] | None
) -> Described:
    """A description that prepares pictures as the user says; itself where nothing is said.

    Raises
    ------
    ParameterError
        If both are given, or one is of another kind.
    """
    if processor is not None and transform is not None:
        raise ParameterError("Give either processor= or transform=, not both.")
    if processor is not None:
        return vit.prepared_by(by_processor(processor, "processor="))
    if transform is not None:
        return vit.prepared_by(by_transform(transform, vit.normalization))
    return vit


def _one(values: object) -> Tensor:
    """One picture of what may be a batch of one."""
    if not isinstance(values, Tensor) or values.ndim not in (3, 4) or len(values[None]) != 1:
        raise ImageError(
            f"The preparation returned {type(values).__name__}"
            f"{list(getattr(values, 'shape', []))}, but a tensor [channel, height, width] was "
            "expected."
        )
    if values.ndim == 4 and len(values) != 1:
        raise ImageError(
            f"The preparation made {len(values)} inputs of one picture (tiles?): trace the vision "
            "tower on one of them, as a float tensor."
        )
    return values[0] if values.ndim == 4 else values
