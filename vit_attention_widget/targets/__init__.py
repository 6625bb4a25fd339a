"""What a gradient explains: a scalar per image, made from what the model returns.

Whatever takes a ``target`` takes a class by index or name, None for the predicted class, your own
callable, and what the functions here return: ``vaw.trace(model, image,
vaw.targets.difference("tench", "reel"))``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.deprecation import renamed_names, warn_renamed
from .memory_bank import MemoryBank
from .of_classes import difference, logit, probability, sum_of
from .of_features import similarity
from .target import Target, TargetSpec

__all__ = [
    "MemoryBank",
    "Target",
    "TargetSpec",
    "difference",
    "logit",
    "probability",
    "similarity",
    "sum_of",
]

_renamed = renamed_names(__name__, {"Unbound": "TargetSpec", "resolve": "user_target.resolve"})


if not TYPE_CHECKING:  # old names are for programs that run, not for those that are checked

    def __getattr__(name: str) -> object:
        if name != "class_index":
            return _renamed(name)
        from ..models.classes import class_index

        warn_renamed(f"{__name__}.class_index", "vit_attention_widget.models.classes.class_index")
        return class_index
