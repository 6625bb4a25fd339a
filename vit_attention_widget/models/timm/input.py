"""What a timm model takes as its input, from its own data configuration."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from timm.data import (  # type: ignore[attr-defined]  # timm exports these without saying so
    create_transform,
    resolve_model_data_config,
)

from ..image_input import ImageInput
from ..preparation import Preparation, resized_and_cropped

__all__ = ["TimmInput", "embedding"]


class TimmInput(ImageInput):
    """The preprocessing of a timm model."""

    @cached_property
    def _data_config(self) -> dict[str, Any]:
        # A model may have been created for another size than its weights were trained at.
        size = getattr(embedding(self.model), "img_size", None)
        args = {} if size is None else {"input_size": (3, *size)}
        config: dict[str, Any] = resolve_model_data_config(self.model, args)
        return config

    @cached_property
    def preparation(self) -> Preparation:  # type: ignore[override]
        """Resize, crop and normalize as the model's data configuration says."""
        config = self._data_config
        height, width = config["input_size"][-2:]
        configured = getattr(self.model, "pretrained_cfg", None) or {}
        ground = "the model's pretrained_cfg" if configured else "timm's default"
        channels = self.channels
        if channels != 3:
            return resized_and_cropped(
                (height, width),
                (config["mean"], config["std"]),
                ground,
                crop=config["crop_pct"],
                channels=channels,
                assumed=True,
            )
        transform = create_transform(**config, is_training=False)
        name = f"timm's transform to {height} x {width}"
        return Preparation(transform, (config["mean"], config["std"]), name, ground)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its input."""
        height, width = self._data_config["input_size"][-2:]
        return self.channels, int(height), int(width)

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Of the model's input."""
        embed = embedding(self.model)
        channels: int | None = getattr(embed, "in_chans", None)
        return channels or int(getattr(getattr(embed, "proj", None), "in_channels", 3))


def embedding(model: Any) -> Any:
    """What makes tokens of pixels."""
    return getattr(model, "patch_embed", None) or model.embeds
