"""timm models whose code reads images or tokens in another way than the families that are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

# timm exports these without saying so
from timm.data import resolve_model_data_config  # type: ignore[attr-defined]
from timm.layers import PatchEmbed  # type: ignore[attr-defined]
from torch import nn

from ..automatic import AutomaticVisionTransformer, describe_automatically
from ..preparation import Preparation
from .class_names import imagenet_names
from .input import TimmInput, embedding

__all__ = ["describe_by_parts", "describe_overridden", "is_overridden"]

_READING = ("forward", "forward_features", "forward_head", "pool")


class TimmByParts(AutomaticVisionTransformer):
    """A timm model, or a subclass of one: parts and readout as measured, pictures as timm's."""

    library = "timm"


class _Input(TimmInput):
    def __init__(self, model: nn.Module, size: tuple[int, int], channels: int) -> None:
        self.model, self._size, self._channels = model, size, channels

    @cached_property
    def _data_config(self) -> dict[str, Any]:
        args = {"input_size": (self._channels, *self._size)}
        config: dict[str, Any] = resolve_model_data_config(self.model, args)
        return config

    @property
    def channels(self) -> int:  # type: ignore[override]
        return self._channels


def is_overridden(model: nn.Module) -> bool:
    """Whether code that is not timm's decides what the model does with its tokens."""
    if any(name in vars(model) for name in _READING):
        return True
    for base in type(model).__mro__:
        if base.__module__.startswith("timm."):
            return False
        if any(name in vars(base) for name in _READING):
            return True
    return False


def describe_overridden(model: nn.Module) -> AutomaticVisionTransformer:
    """Describe a model by what its own code does.

    Raises
    ------
    UnsupportedModelError
        If its parts are not found.
    """
    return _by_parts(model, getattr(embedding(model), "img_size", None))


def describe_by_parts(model: nn.Module) -> AutomaticVisionTransformer:
    """Describe a model of a family of timm's that is not known, such as a vision tower.

    Raises
    ------
    UnsupportedModelError
        If its parts are not found, or are not one sequence of blocks over one grid of patches.
    """
    embeddings = (module for module in model.modules() if isinstance(module, PatchEmbed))
    size = getattr(next(embeddings, None), "img_size", None)
    config = getattr(model, "pretrained_cfg", None) or {}
    if size is None and "input_size" in config:
        size = config["input_size"][-2:]
    described = _by_parts(model, size)
    described.name = config.get("architecture") or described.name
    if described.num_classes:
        described.names = imagenet_names(model, described.num_classes)
    return described


def _by_parts(model: nn.Module, size: Sequence[int] | None) -> AutomaticVisionTransformer:
    def preparation(size: tuple[int, int], channels: int) -> Preparation:
        return _Input(model, size, channels).preparation

    return describe_automatically(
        model,
        image_size=None if size is None else (int(size[0]), int(size[1])),
        kind=TimmByParts,
        preparation=preparation,
    )
