"""Which library a model comes from, and that library's description of it."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable

from PIL import Image
from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .automatic import describe_automatically
from .class_names import ClassNamesLike
from .holders import held_model, refuse_graph, refuse_missing_weights, refuse_no_module
from .output_kind import OutputKind
from .preparation import prepared
from .said_classes import with_classes
from .two_towers import describe_two_towers, has_two_towers
from .vision_transformer import VisionTransformer
from .wrapped import note, unwrapped

__all__ = ["describe"]

_LIBRARIES = ("timm", "transformers", "open_clip", "torchvision")


def describe(
    model: nn.Module | VisionTransformer,
    *,
    class_names: ClassNamesLike | None = None,
    output: OutputKind | None = None,
    processor: object | None = None,
    transform: Callable[[Image.Image], Tensor] | None = None,
    display: tuple[int, int, int] | None = None,
) -> VisionTransformer:
    """Describe a model, whichever supported library it comes from.

    A compiled, (Distributed)DataParallel, PEFT or averaged model is described by the eager module
    below it, and its name says so; compiled parts are run eagerly. A model of no known library is
    described by its parts, as far as these can be found, and by what its own code does with tokens.

    The result can be passed wherever a model is.

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
    processor : image processor of transformers, optional
        How pictures become the model's input; ``description.preparation`` says what is taken by
        default, and on what ground.
    transform : callable, optional
        The same by a function of an RGB picture -> tensor [channel, height, width], such as one of
        torchvision's.
    display : (int, int, int), optional
        Channels to show as red, green and blue, of a model that takes more than three.

    Raises
    ------
    UnsupportedModelError
        If no library's description fits; the message names the module and the reason.
    ParameterError
        If ``model`` is not a module at all, the names cannot be read, or there is no such output.
    """
    vit = prepared(_described(model), processor, transform)
    if display is not None:
        vit = copy.copy(vit)
        vit.display = display
    return with_classes(vit, class_names, output)


def _described(model: nn.Module | VisionTransformer) -> VisionTransformer:
    if isinstance(model, VisionTransformer):
        return model
    refuse_no_module(model)
    model, wrappers = unwrapped(model)
    refuse_graph(model)
    library = _library(model)
    if library is None:
        described = _of_no_library(model)
    else:
        described = importlib.import_module(f".{library}", __package__).describe(model)
        refuse_missing_weights(model)
    described.name += note(wrappers)
    return described


def _library(model: nn.Module) -> str | None:
    # A user's subclass lives in the user's module: look through the whole ancestry.
    ancestry = {base.__module__.split(".")[0] for base in type(model).__mro__}
    return next((name for name in _LIBRARIES if name in ancestry), None)


def _of_no_library(model: nn.Module) -> VisionTransformer:
    """Describe a model of anybody's code by its parts, as far as they can be found."""
    try:
        if has_two_towers(model):
            return describe_two_towers(model)
        described: VisionTransformer = describe_automatically(model)
        inner = described.model
        if inner is model or _library(inner) is None:
            return described
        name = described.name
        described = describe(inner)  # by its library, which knows more
        described.name = name.replace(type(inner).__name__, described.name, 1)
        return described
    except UnsupportedModelError as error:
        held = held_model(model)
        instead = f" Give the model that it holds: `.{held}`." if held else ""
        raise UnsupportedModelError(
            f"{type(model).__name__} (from {type(model).__module__.split('.')[0]}) is not a Vision "
            f"Transformer of a supported library ({', '.join(_LIBRARIES)}), and its parts were not "
            f"found: {error}{instead} You can say where they are by vaw.adapt(model, blocks, "
            "readout, ...)."
        ) from None
