"""Models built from timm's whose own code reads images or tokens in another way."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..automatic import AutomaticVisionTransformer, describe_automatically
from .input import TimmInput, embedding

__all__ = ["describe_overridden", "is_overridden"]

_READING = ("forward", "forward_features", "forward_head", "pool")


class OverriddenTimm(AutomaticVisionTransformer):
    """A subclass of a timm model: parts and readout as measured, pictures as timm prepares them."""

    library = "timm"

    def __init__(self, model: nn.Module, *args: Any, **options: Any) -> None:
        super().__init__(model, *args, **options)
        self.preparation = _Input(model).preparation


class _Input(TimmInput):
    def __init__(self, model: nn.Module) -> None:
        self.model = model


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
    size = getattr(embedding(model), "img_size", None)
    return describe_automatically(model, image_size=size, kind=OverriddenTimm)
