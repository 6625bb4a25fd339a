"""What every function that ablates heads of many images needs: how many at once, and of what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..errors import ParameterError
from ..models import VisionTransformer

__all__ = ["check_max_batch", "common_target", "images_at_once"]

_IMAGES_AND_HEADS = 64
"""As many images are traced together as make so many variants of a layer."""


class _Aimed(Protocol):
    @property
    def target(self) -> str: ...


def check_max_batch(max_batch: int | None) -> None:
    """Raise :class:`ParameterError` unless it is at least 1, where it is said."""
    if max_batch is not None and max_batch < 1:
        raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")


def images_at_once(vit: VisionTransformer, max_batch: int | None) -> int:
    """How many images are traced together."""
    return max(1, (max_batch or _IMAGES_AND_HEADS) // max(1, *vit.num_heads))


def common_target(parts: Iterable[_Aimed]) -> str:
    """What is explained of all images, in words."""
    names = dict.fromkeys(part.target for part in parts)
    return next(iter(names)) if len(names) == 1 else "each image's own class"
