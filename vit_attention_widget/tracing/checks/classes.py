"""How many classes there are, as the logits of a pass show it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.output_kind import binary_names, class_count, is_binary
from ...support.warn import warn_caller

__all__ = ["classes_as_seen", "without_misfit_names"]


def classes_as_seen(vit: VisionTransformer, logits: Tensor) -> VisionTransformer:
    """The description with as many classes as there are logits.

    Whatever a configuration or an attribute says of their number, the logits decide. Names of
    another number are dropped.

    Parameters
    ----------
    vit : VisionTransformer
    logits : Tensor
        [batch, class], of the pass that was just run.

    Returns
    -------
    VisionTransformer
        ``vit`` itself where it fits, else a copy: others may be using it.

    Raises
    ------
    ParameterError
        If a softmax over a single logit was asked for, or was taken already.

    Warns
    -----
    UserWarning
        If names were dropped.
    """
    if not vit.has_classes:
        return vit
    width = logits.shape[1]
    if vit.said_output == "softmax" and width == 1:
        raise ParameterError(
            f"{vit.name} returns one number an image, of which a softmax is always 1: say "
            'output="sigmoid" for yes or no, or output="value" for a number that means itself.'
        )
    if vit.said_output is None and vit.output == "softmax" and _are_shares(logits):
        raise ParameterError(
            f"{vit.name} returns numbers that are at least 0 and sum to 1: probabilities, of which "
            "a softmax would be taken again. Give the model without its softmax; or say "
            'output="value", so that each number means itself, or output="softmax" if they are '
            "logits all the same."
        )
    count = class_count(width, vit.output)
    names = binary_names(vit.names) if is_binary(width, vit.output) else vit.names
    if names is not None and len(names) != count:
        _warn(vit, width, len(names))
        names = None
    if count == vit.num_classes and names == vit.names:
        return vit
    seen = copy.copy(vit)
    seen.num_classes, seen.names = count, names
    return seen


def _are_shares(logits: Tensor) -> bool:
    """Whether the numbers of each image are shares of 1, as logits never are by chance."""
    numbers = logits.detach().double()
    rounding = 1e-4 if logits.dtype in (torch.float32, torch.float64) else 1e-2
    sums_to_one = (numbers.sum(1) - 1).abs().max() <= rounding
    return logits.shape[1] > 1 and bool(sums_to_one) and bool((numbers >= 0).all())


def without_misfit_names(vit: VisionTransformer) -> VisionTransformer:
    """The description without the names of a configuration that a replaced classifier outdates.

    For those who run the model in another thread later: the warning is about the user's own line.
    """
    if not vit.has_classes or vit.names is None or len(vit.names) == vit.num_classes:
        return vit
    _warn(vit, vit.num_classes, len(vit.names))
    seen = copy.copy(vit)
    seen.names = None
    return seen


def _warn(vit: VisionTransformer, width: int, names: int) -> None:
    warn_caller(
        f"{vit.name} returns {width} number{'s' * (width > 1)} an image, but {names} names of "
        "classes are known: the names are dropped; give the right ones by class_names=[...]."
    )
