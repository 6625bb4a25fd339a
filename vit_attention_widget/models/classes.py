"""Classes by index or name, one for all images or one each."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import SupportsIndex, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import TargetError
from ..support.words import shown
from .head_index import whole_number
from .output_kind import class_logits
from .vision_transformer import VisionTransformer

__all__ = [
    "ClassesLike",
    "class_index",
    "class_indices",
    "class_names",
    "logit_of_class",
    "no_class",
    "of_each",
]


ClassesLike: TypeAlias = (
    SupportsIndex | str | Sequence[SupportsIndex | str] | NDArray[np.integer] | Tensor | None
)
"""A class by index or name, one for each image, or None for the predicted ones."""


def class_indices(target: object, logits: Tensor, vit: VisionTransformer) -> tuple[int, ...]:
    """The class of each image.

    Parameters
    ----------
    target : None, int, str or sequence
        None is the predicted class of each image: that of the largest logit. A class is given by
        index or name, one for all images or one each.
    logits : Tensor
        [batch, class].

    Raises
    ------
    TargetError
        If a class does not exist, or the classes are not as many as the images.
    """
    if not vit.has_classes:
        raise TargetError(f"The target {target!r} is not a class: {no_class(vit)}")
    if target is None:
        return tuple(class_logits(logits, vit.output).argmax(-1).tolist())
    batch = logits.shape[0]
    if isinstance(target, Tensor | np.ndarray):
        target = target.tolist()
    if isinstance(target, bool):
        raise TargetError(f"The target is {target}, but a class index or name was expected.")
    if hasattr(target, "__index__"):
        target = target.__index__()
    if isinstance(target, int | str):
        target = [target] * batch
    if not isinstance(target, Sequence):
        raise TargetError(
            f"The target is a {type(target).__name__}, but None, a class index, a class name, "
            "one of these per image, one of vaw.targets, or a callable was expected."
        )
    if len(target) != batch:
        raise TargetError(f"{len(target)} targets were given for {batch} images: give one each.")
    return tuple(class_index(t, vit) for t in target)


def class_index(target: object, vit: VisionTransformer) -> int:
    """Index of a class given by index or name; raises :class:`TargetError` if there is none."""
    num_classes = vit.num_classes
    if isinstance(target, str):
        return _index_of(target, vit)
    index = whole_number(target)
    if index is None:
        raise TargetError(
            f"{shown(target)} is not a class: give an index from 0 to {num_classes - 1} or a name."
        )
    if not 0 <= index < num_classes:
        raise TargetError(
            f"There is no class {shown(index)}: the model has {num_classes} classes, 0 to "
            f"{num_classes - 1}."
        )
    return index


def class_names(index: Sequence[int], vit: VisionTransformer) -> str:
    """The names of classes, each once."""
    return ", ".join(dict.fromkeys(vit.class_name(i) for i in index))


def no_class(vit: VisionTransformer) -> str:
    """What to say of a model that predicts none."""
    return (
        f"{vit.name} has no classifier (num_classes=0), so it predicts no class: give "
        "vaw.targets.similarity(another image), a target of a vaw.targets.MemoryBank, or a "
        'callable features [batch, dim] -> [batch]; or say output="softmax" where the model is '
        "given, if what it returns are logits."
    )


def logit_of_class(logits: Tensor, index: Sequence[int], vit: VisionTransformer) -> Tensor:
    """The logit of each image's class, [batch]."""
    return of_each(class_logits(logits, vit.output), index)


def of_each(values: Tensor, index: Sequence[int]) -> Tensor:
    """The entry of each image's class, [batch, class] -> [batch]."""
    rows = torch.arange(len(index), device=values.device)
    return values[rows, torch.tensor(index, device=values.device)]


def _index_of(name: str, vit: VisionTransformer) -> int:
    if not vit.class_names:
        raise TargetError(
            f"The class {name!r} was asked for by name, but {vit.name} does not say what its "
            f"classes are called: give an index from 0 to {vit.num_classes - 1}."
        )
    folded = [class_name.casefold() for class_name in vit.class_names]
    wanted = name.strip().casefold()
    if wanted in folded:
        return folded.index(wanted)
    close = difflib.get_close_matches(wanted, folded, n=3)
    near = [vit.class_names[folded.index(c)] for c in close] or vit.class_names[:3]
    raise TargetError(
        f"There is no class called {name!r} in {vit.name}; near to it: "
        f"{', '.join(repr(n) for n in near)}."
    )
