"""What a timm model takes as its input, from its own data configuration."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from PIL import Image
from timm.data import (  # type: ignore[attr-defined]  # timm exports these without saying so
    create_transform,
    resolve_model_data_config,
)
from torch import Tensor, nn

from ...errors import UnsupportedModelError
from ..image_input import ImageInput, Normalization

__all__ = ["TimmInput", "check_channels", "embedding"]


class TimmInput(ImageInput):
    """The preprocessing of a timm model."""

    @cached_property
    def _data_config(self) -> dict[str, Any]:
        # A model may have been created for another size than its weights were trained at.
        size = getattr(embedding(self.model), "img_size", None)
        args = {} if size is None else {"input_size": (3, *size)}
        config: dict[str, Any] = resolve_model_data_config(self.model, args)
        return config

    @property
    def normalization(self) -> Normalization:
        """Mean and standard deviation from the model's data configuration."""
        return self._data_config["mean"], self._data_config["std"]

    @cached_property
    def _transform(self) -> Any:
        return create_transform(**self._data_config, is_training=False)

    def transform(self, image: Image.Image) -> Tensor:
        """Resize, crop and normalize as the model's data configuration says."""
        tensor: Tensor = self._transform(image)
        return tensor


def check_channels(model: nn.Module) -> None:
    """Raise :class:`UnsupportedModelError` unless the model takes RGB."""
    embed = embedding(model)
    channels = getattr(embed, "in_chans", None) or getattr(
        getattr(embed, "proj", None), "in_channels", 3
    )
    if channels != 3:
        raise UnsupportedModelError(
            f"{type(model).__name__} takes {channels} channels a pixel, but pictures have 3 "
            "(RGB). Use a model created with in_chans=3."
        )


def embedding(model: Any) -> Any:
    """What makes tokens of pixels."""
    return getattr(model, "patch_embed", None) or model.embeds
