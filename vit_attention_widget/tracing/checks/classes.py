"""How many classes there are, as the logits of a pass show it."""

from __future__ import annotations

import copy

from torch import Tensor

from ...errors import ParameterError
from ...models import VisionTransformer
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
    count = logits.shape[1]
    names_fit = vit.names is None or len(vit.names) == count
    if count != vit.num_classes or not names_fit:
        vit = copy.copy(vit)
        vit.num_classes = count
    if vit.said_output == "softmax" and count == 1:
        raise ParameterError(
            f"{vit.name} returns one number an image, of which a softmax is always 1: say "
            'output="sigmoid" for yes or no, or output="value" for a number that means itself.'
        )
    if vit.names is not None and not names_fit:
        warn_caller(
            f"{vit.name} returns {count} number{'s' * (count > 1)} an image, but {len(vit.names)} "
            "names of classes are known: the names are dropped; give the right ones by "
            "class_names=[...]."
        )
        vit.names = None
    return vit
