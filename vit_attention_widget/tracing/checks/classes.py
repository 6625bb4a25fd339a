"""How many classes there are, as the logits of a pass show it."""

from __future__ import annotations

import copy

from torch import Tensor

from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.output_kind import binary_names, class_count, is_binary
from ...support.warn import warn_caller

__all__ = ["classes_as_seen"]


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
        If a softmax over a single logit was asked for.

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
    count = class_count(width, vit.output)
    names = binary_names(vit.names) if is_binary(width, vit.output) else vit.names
    if names is not None and len(names) != count:
        warn_caller(
            f"{vit.name} returns {width} number{'s' * (width > 1)} an image, but {len(names)} "
            "names of classes are known: the names are dropped; give the right ones by "
            "class_names=[...]."
        )
        names = None
    if count == vit.num_classes and names == vit.names:
        return vit
    seen = copy.copy(vit)
    seen.num_classes, seen.names = count, names
    return seen
