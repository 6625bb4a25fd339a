"""A target, before and after the model and its images are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..models import VisionTransformer

__all__ = ["Target", "TargetSpec"]


@dataclass(frozen=True)
class Target:
    """A resolved target.

    Parameters
    ----------
    score : callable
        Logits [batch, class] -> the scalar to be explained, [batch].
    name : str
        What to call it.
    index : tuple of int or None
        The class of each image, where the target is the logit of one class.
    signed : bool
        Whether :func:`~..explainers.daam` is to keep the sign of its channel weights, as its
        authors do for self-supervised models.
    """

    score: Callable[[Tensor], Tensor]
    name: str
    index: tuple[int, ...] | None = None
    signed: bool = False


@dataclass(frozen=True)
class TargetSpec:
    """A target as it was asked for; it is bound to a model once the images have been run.

    Parameters
    ----------
    name : str
        What to call it until then.
    bind : callable
        What the model returned [batch, class or dim], and the model's description -> the target.
        Raises :class:`~..errors.TargetError` if the model has no such target.
    """

    name: str
    bind: Callable[[Tensor, VisionTransformer], Target]

    def __repr__(self) -> str:
        return f"<target {self.name!r}>"
