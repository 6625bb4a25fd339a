"""A small Vision Transformer that comes with the package, and the scenes it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scenes import Scene, draw, scene, two_objects
from .shapes import KINDS

if TYPE_CHECKING:
    from .model import load_model

__all__ = ["KINDS", "Scene", "draw", "load_model", "scene", "two_objects"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name != "load_model":  # the model needs timm, the scenes do not
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .model import load_model

        return load_model
