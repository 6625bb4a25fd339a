"""Which library a model comes from, and that library's description of it."""

from __future__ import annotations

import importlib

from torch import nn

from ..errors import ParameterError, UnsupportedModelError
from .class_names import ClassNamesLike
from .output_kind import OutputKind
from .said_classes import with_classes
from .vision_transformer import VisionTransformer
from .wrapped import note, unwrapped

__all__ = ["describe"]

_LIBRARIES = ("timm", "transformers", "open_clip", "torchvision")


def describe(
    model: nn.Module | VisionTransformer,
    *,
    class_names: ClassNamesLike | None = None,
    output: OutputKind | None = None,
) -> VisionTransformer:
    """Describe a model, whichever supported library it comes from.

    A compiled or (Distributed)DataParallel model is described by the eager module below it, and
    its name says so; parts that were compiled are run as they were written.

    What comes back is taken wherever a model is.

    Parameters
    ----------
    model : nn.Module or VisionTransformer
        A description is returned as it is, or a copy of it with other classes.
    class_names : sequence of str, mapping or path, optional
        What the classes are called: a list, ``{index: name}``, a ``.txt`` file with a name a line,
        or a ``.json`` file of a list or mapping. By default what the model's configuration says.
    output : {"softmax", "sigmoid", "value", "features"}, optional
        What the numbers that the model returns stand for: one class of several; classes of which
        each is there or not (multi-label, or binary with one logit); numbers that mean themselves
        (regression); features. By default what the model's configuration says; without a classifier
        features, with one logit a value, else a softmax.

    Raises
    ------
    UnsupportedModelError
        If no library's description fits; the message names the module and the reason.
    ParameterError
        If ``model`` is not a module at all, the names cannot be read, or there is no such output.
    """
    return with_classes(_described(model), class_names, output)


def _described(model: nn.Module | VisionTransformer) -> VisionTransformer:
    if isinstance(model, VisionTransformer):
        return model
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"The model is a {type(model).__name__}, but a torch.nn.Module was expected, "
            'e.g. timm.create_model("vit_tiny_patch16_224", pretrained=True).'
        )
    model, wrappers = unwrapped(model)
    library = type(model).__module__.split(".")[0]
    for name in _LIBRARIES:
        # A user's subclass lives in the user's module: look through the whole ancestry.
        ancestry = {base.__module__.split(".")[0] for base in type(model).__mro__}
        if name in ancestry:
            module = importlib.import_module(f".{name}", __package__)
            described: VisionTransformer = module.describe(model)
            described.name += note(wrappers)
            return described
    raise UnsupportedModelError(
        f"{type(model).__name__} (from {library}) is not a Vision Transformer of a supported "
        f"library ({', '.join(_LIBRARIES)}): its blocks, patch grid and readout are unknown. "
        'Use e.g. timm.create_model("vit_base_patch16_224"), or say where the parts of yours '
        "are by vaw.adapt(model, blocks, readout, ...)."
    )
