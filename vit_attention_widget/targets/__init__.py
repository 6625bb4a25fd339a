"""What a gradient explains: a scalar per image, made from what the model returns.

Whatever takes a ``target`` takes a class by index or name, None for the predicted class, a callable
of one's own, and what the functions here return: ``vaw.trace(model, image,
vaw.targets.difference("tench", "reel"))``.
"""

from __future__ import annotations

from ..models.classes import class_index
from .memory_bank import MemoryBank
from .of_classes import difference, logit, probability, sum_of
from .of_features import similarity
from .resolving import resolve
from .target import Target, Unbound

__all__ = [
    "MemoryBank",
    "Target",
    "Unbound",
    "class_index",
    "difference",
    "logit",
    "probability",
    "resolve",
    "similarity",
    "sum_of",
]
