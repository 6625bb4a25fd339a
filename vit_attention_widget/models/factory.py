"""A model that other processes make themselves, instead of being sent it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

from torch import nn

from ..errors import ParameterError
from .libraries import describe
from .vision_transformer import VisionTransformer

__all__ = ["made_by"]


def made_by(
    factory: Callable[..., nn.Module | VisionTransformer], *args: object, **kwargs: object
) -> VisionTransformer:
    """Describe the model that a function makes, and remember how it was made.

    With ``executor=`` the function is sent to the workers instead of the model, and each calls it
    once. This is for models whose classes are defined in that function, or whose weights lie in a
    file that every machine has. That all make the same model is checked.

    Parameters
    ----------
    factory : callable
        A function of a module that workers can import, such as ``timm.create_model``; it must
        make the same model each time: from a file, a checkpoint, or a seed.
    *args, **kwargs
        What it is called with.

    Returns
    -------
    VisionTransformer
        Goes wherever a model goes.

    Examples
    --------
    >>> import timm
    >>> import vit_attention_widget as vaw
    >>> model = vaw.made_by(
    ...     timm.create_model, "vit_base_patch16_224", checkpoint_path="mine.safetensors"
    ... )  # doctest: +SKIP
    >>> vaw.made_by(vaw.demo.load_model).num_layers
    6
    """
    if not callable(factory):
        raise ParameterError(
            f"factory is a {type(factory).__name__}: give a function that makes the model, and "
            "after it what it is called with."
        )
    vit = copy.copy(describe(factory(*args, **kwargs)))
    vit.factory = partial(factory, *args, **kwargs)
    return vit
