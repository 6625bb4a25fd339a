"""What a gradient explains: a scalar per image, made from the logits."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import TargetError
from .vision_transformers import VisionTransformer

__all__ = ["Target", "class_index", "resolve"]


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
        The class of each image, where the target is one class.
    """

    score: Callable[[Tensor], Tensor]
    name: str
    index: tuple[int, ...] | None = None


def resolve(target: Any, logits: Tensor, vit: VisionTransformer) -> Target:
    """Make a :class:`Target` of what a user gave.

    Parameters
    ----------
    target : None, int, str, sequence of int, callable or Target
        None is the predicted class of each image. A class is given by index or name, one for all
        images or one each. A callable takes logits [batch, class] and returns [batch].
    logits : Tensor
        [batch, class].

    Raises
    ------
    TargetError
        If the class does not exist, or the callable returns another shape.
    """
    if isinstance(target, Target):
        if target.index is None:
            return target
        target = target.index
    batch = logits.shape[0]
    if vit.num_classes == 0 and not callable(target):
        return _no_class(target, vit)
    if target is None:
        return _classes(tuple(logits.argmax(-1).tolist()), vit)
    if isinstance(target, Tensor | np.ndarray):
        target = target.tolist()
    if isinstance(target, bool):
        raise TargetError(f"The target is {target}, but a class index or name was expected.")
    if hasattr(target, "__index__"):
        target = target.__index__()
    if isinstance(target, int | str):
        target = [target] * batch
    if callable(target):
        return _checked(target, logits)
    if not isinstance(target, Sequence):
        raise TargetError(
            f"The target is a {type(target).__name__}, but None, a class index, a class name, "
            "one of these per image, or a callable was expected."
        )
    if len(target) != batch:
        raise TargetError(f"{len(target)} targets were given for {batch} images: give one each.")
    return _classes(tuple(class_index(t, vit) for t in target), vit)


def class_index(target: Any, vit: VisionTransformer) -> int:
    """Index of a class given by index or name; raises :class:`TargetError` if there is none."""
    num_classes = vit.num_classes
    if isinstance(target, str):
        return _index_of(target, vit)
    if not hasattr(target, "__index__") or isinstance(target, bool):
        raise TargetError(
            f"{target!r} is not a class: give an index from 0 to {num_classes - 1} or a name."
        )
    index = int(target.__index__())
    if not 0 <= index < num_classes:
        raise TargetError(
            f"There is no class {index}: the model has {num_classes} classes, 0 to "
            f"{num_classes - 1}."
        )
    return index


def _index_of(name: str, vit: VisionTransformer) -> int:
    if not vit.class_names:
        raise TargetError(
            f"The class {name!r} was asked for by name, but {vit.name} does not say what its "
            f"classes are called: give an index from 0 to {vit.num_classes - 1}."
        )
    folded = [known.casefold() for known in vit.class_names]
    wanted = name.strip().casefold()
    if wanted in folded:
        return folded.index(wanted)
    close = difflib.get_close_matches(wanted, folded, n=3)
    near = [vit.class_names[folded.index(c)] for c in close] or vit.class_names[:3]
    raise TargetError(
        f"There is no class called {name!r} in {vit.name}; near to it: "
        f"{', '.join(repr(n) for n in near)}."
    )


def _no_class(target: Any, vit: VisionTransformer) -> Target:
    """What attention and rollout need no target for; anything that does is refused when asked."""
    message = (
        f"{vit.name} has no classifier (num_classes=0), so it predicts no class: give a callable "
        "features [batch, dim] -> [batch], such as the similarity to another image's features."
    )
    if target is not None:
        raise TargetError(f"The target {target!r} is not a class: {message}")

    def refuse(features: Tensor) -> Tensor:
        raise TargetError(message)

    return Target(refuse, "no class")


def _classes(index: tuple[int, ...], vit: VisionTransformer) -> Target:
    names = dict.fromkeys(vit.class_name(i) for i in index)

    def score(logits: Tensor) -> Tensor:
        rows = torch.arange(len(index), device=logits.device)
        return logits[rows, torch.tensor(index, device=logits.device)]

    return Target(score, ", ".join(names), index)


def _checked(function: Callable[[Tensor], Tensor], logits: Tensor) -> Target:
    name = getattr(function, "__name__", type(function).__name__)
    with torch.no_grad():
        found = function(logits.detach())
    if not isinstance(found, Tensor) or tuple(found.shape) != (logits.shape[0],):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise TargetError(
            f"The target {name} returned {shape}, but logits [{logits.shape[0]}, "
            f"{logits.shape[1]}] must become one scalar per image, [{logits.shape[0]}]."
        )
    return Target(function, name)
