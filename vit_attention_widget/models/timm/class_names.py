"""What the classes of a timm model are called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from timm.data import (  # type: ignore[attr-defined]  # timm exports these without saying so
    ImageNetInfo,
    infer_imagenet_subset,
)

__all__ = ["imagenet_names"]


def imagenet_names(model: Any, count: int) -> Sequence[str] | None:
    """Names from the model's own configuration, or ImageNet's where the classes are its."""
    names = (getattr(model, "pretrained_cfg", None) or {}).get("label_names")
    if names:
        return [str(name) for name in names]
    subset = infer_imagenet_subset(model)
    return None if subset is None else _names(subset, count)


@cache  # timm reads them from files, which takes as long as a tenth of a ViT-B's forward pass
def _names(subset: str, count: int) -> tuple[str, ...]:
    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(i).split(",")[0] for i in range(count))
