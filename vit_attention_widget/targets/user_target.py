"""From what a user gives to what a gradient explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import TargetError
from ..models import VisionTransformer
from ..models.classes import ClassesLike, class_indices, no_class
from .of_classes import logit_of
from .target import Target, TargetSpec

__all__ = ["TargetLike", "resolve"]

TargetLike: TypeAlias = ClassesLike | Callable[[Tensor], Tensor] | TargetSpec | Target
"""A target as users give it: a class, one for each image, a function of logits, or a spec."""


def resolve(target: TargetLike, logits: Tensor, vit: VisionTransformer) -> Target:
    """Make a :class:`Target` of what a user gave.

    Parameters
    ----------
    target : None, int, str, sequence of int, callable, TargetSpec or Target
        None is the predicted class of each image. A class is given by index or name, one for all
        images or one each. A callable takes logits [batch, class] and returns [batch].
    logits : Tensor
        [batch, class].

    Raises
    ------
    TargetError
        If the class does not exist, or the callable returns another shape.
    """
    if isinstance(target, TargetSpec):
        return target.bind(logits, vit)
    if isinstance(target, Target):
        if target.index is None:
            return target
        target = target.index
    if callable(target):
        return _checked(target, logits)
    if target is None and not vit.has_classes:
        return _refused(vit)
    return logit_of(class_indices(target, logits, vit), vit)


def _refused(vit: VisionTransformer) -> Target:
    """What attention and rollout need no target for; anything that does is refused when asked."""

    def refuse(features: Tensor) -> Tensor:
        raise TargetError(no_class(vit))

    return Target(refuse, "no class")


def _checked(function: Callable[[Tensor], Tensor], logits: Tensor) -> Target:
    name = getattr(function, "__name__", type(function).__name__)
    with torch.no_grad():
        scalars = function(logits.detach())
    if not isinstance(scalars, Tensor) or tuple(scalars.shape) != (logits.shape[0],):
        shape = tuple(scalars.shape) if isinstance(scalars, Tensor) else type(scalars).__name__
        raise TargetError(
            f"The target {name} returned {shape}, but logits [{logits.shape[0]}, "
            f"{logits.shape[1]}] must become one scalar per image, [{logits.shape[0]}]."
        )
    return Target(function, name)
