"""Targets made of the logits of classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import TargetError
from ..models import VisionTransformer
from ..models.classes import (
    ClassesLike,
    class_index,
    class_indices,
    class_names,
    logit_of_class,
    no_class,
    of_each,
)
from ..models.output_kind import class_logits, probabilities
from .target import Target, TargetSpec

__all__ = ["difference", "logit", "logit_of", "probability", "sum_of"]


def logit(classes: ClassesLike = None) -> TargetSpec:
    """The logit of a class, which is also what a plain class index or name means.

    Of a model with one logit and ``output="sigmoid"`` it is -z for the class no and z for yes; of a
    model of values it is the value.

    Parameters
    ----------
    classes : int, str, sequence, or None
        By index or name, one for all images or one each; None is each image's predicted class.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, image = vaw.demo.load_model(), vaw.demo.scene(seed=1).image
    >>> vaw.trace(model, image, vaw.targets.logit("star")).target.name
    'star'
    """
    return TargetSpec(
        _said(classes), lambda logits, vit: logit_of(class_indices(classes, logits, vit), vit)
    )


def probability(classes: ClassesLike = None) -> TargetSpec:
    r"""The probability of a class, :math:`\mathrm{softmax}(\mathrm{logits})_c`.

    Its gradient is that of the logit less the other classes' logits, weighted by their
    probabilities, times :math:`p`: it takes the competing classes into account, and vanishes where
    the model is certain.
    Where each class is there or not (``output="sigmoid"``) it is :math:`\sigma(\mathrm{logit}_c)`.

    Parameters
    ----------
    classes : int, str, sequence, or None
        As for :func:`logit`.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, image = vaw.demo.load_model(), vaw.demo.scene(seed=1).image
    >>> vaw.trace(model, image, vaw.targets.probability("star")).target.name
    'probability of star'
    """

    def bind(logits: Tensor, vit: VisionTransformer) -> Target:
        index, kind = class_indices(classes, logits, vit), vit.output
        if kind == "value":
            raise TargetError(
                f"{vit.name} returns values, which have no probability: give vaw.targets.logit(), "
                'or say output="sigmoid" or output="softmax" where a model is given.'
            )

        def score(logits: Tensor) -> Tensor:
            return of_each(probabilities(logits, kind), index)

        return Target(score, f"probability of {class_names(index, vit)}")

    return TargetSpec(f"probability of {_said(classes)}", bind)


def difference(classes: ClassesLike, others: ClassesLike) -> TargetSpec:
    """The logit of one class minus that of another: why this one rather than that one.

    Parameters
    ----------
    classes, others : int, str, sequence, or None
        As for :func:`logit`.

    Raises
    ------
    TargetError
        When it is used, if both are the same class.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> image = vaw.demo.two_objects(seed=1, kinds=("star", "ring")).image
    >>> vaw.trace(model, image, vaw.targets.difference("star", "ring")).target.name
    'star, not ring'
    """

    def bind(logits: Tensor, vit: VisionTransformer) -> Target:
        one, two = class_indices(classes, logits, vit), class_indices(others, logits, vit)
        for image, (this, that) in enumerate(zip(one, two, strict=True)):
            if this == that:
                raise TargetError(
                    f"Both classes of the difference are {vit.class_name(this)!r} for image "
                    f"{image}, so there is nothing to explain: give two different classes."
                )

        def score(logits: Tensor) -> Tensor:
            return logit_of_class(logits, one, vit) - logit_of_class(logits, two, vit)

        pairs = zip(one, two, strict=True)
        names = [f"{vit.class_name(this)}, not {vit.class_name(that)}" for this, that in pairs]
        return Target(score, "; ".join(dict.fromkeys(names)))

    return TargetSpec(f"{_said(classes)}, not {_said(others)}", bind)


def sum_of(classes: Sequence[int | str]) -> TargetSpec:
    """The sum of the logits of several classes, the same ones for every image.

    Parameters
    ----------
    classes : sequence of int or str
        Each by index or name, each once.

    Raises
    ------
    TargetError
        If there is none; when it is used, if one does not exist or is named twice.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, image = vaw.demo.load_model(), vaw.demo.scene(seed=1).image
    >>> vaw.trace(model, image, vaw.targets.sum_of(["star", "ring"])).target.name
    'star + ring'
    """
    if isinstance(classes, str) or not hasattr(classes, "__len__") or not len(classes):
        raise TargetError(
            f"The classes of the sum are {classes!r}: give a list of at least one class, by index "
            "or name."
        )
    listed = list(classes)

    def bind(logits: Tensor, vit: VisionTransformer) -> Target:
        if not vit.has_classes:
            raise TargetError(f"The target {listed!r} is not of classes: {no_class(vit)}")
        index = [class_index(c, vit) for c in listed]
        twice = next((i for i in index if index.count(i) > 1), None)
        if twice is not None:
            raise TargetError(
                f"The class {vit.class_name(twice)!r} is named twice in {listed!r}: name each once."
            )

        def score(logits: Tensor) -> Tensor:
            each = class_logits(logits, vit.output)
            return each[:, torch.tensor(index, device=logits.device)].sum(-1)

        return Target(score, " + ".join(vit.class_name(i) for i in index))

    return TargetSpec(" + ".join(_said(c) for c in listed), bind)


def logit_of(index: tuple[int, ...], vit: VisionTransformer) -> Target:
    """The logit of each image's class."""
    return Target(lambda logits: logit_of_class(logits, index, vit), class_names(index, vit), index)


def _said(classes: object) -> str:
    """How a user named classes, while the model that knows their names is not known."""
    if classes is None:
        return "predicted class"
    return classes if isinstance(classes, str) else f"class {classes}"
