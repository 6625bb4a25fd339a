"""Models that cannot be looked at as they are, and the object to give instead."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ..errors import ParameterError, UnsupportedModelError
from ..support.module_tree import modules_of

__all__ = ["held_model", "refuse_graph", "refuse_missing_weights", "refuse_no_module"]

_HOLDERS = (
    "module",
    "model",
    "ema_model",
    "ema",
    "net",
    "network",
    "backbone",
    "encoder",
    "timm_model",
    "vision_tower",
    "vision_model",
    "visual",
)


def refuse_no_module(model: object) -> None:
    """Raise :class:`ParameterError` unless ``model`` is a module."""
    if isinstance(model, nn.Module):
        return
    if isinstance(model, torch.export.ExportedProgram):
        raise ParameterError(
            "The model is an ExportedProgram: its modules are a graph of operations, in which no "
            "block can be told from another. Give the model that was exported."
        )
    name = _held(model)
    if name is not None:
        raise ParameterError(
            f"The model is a {type(model).__name__}, which holds one: give its `.{name}`."
        )
    raise ParameterError(
        f"The model is a {type(model).__name__}, but a torch.nn.Module was expected, "
        'e.g. timm.create_model("vit_tiny_patch16_224", pretrained=True).'
    )


def refuse_graph(model: nn.Module) -> None:
    """Raise :class:`UnsupportedModelError` for what is no longer made of modules."""
    name = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedModelError(
            f"{name} is TorchScript, whose operations run outside Python and cannot be observed: "
            "give the model that was traced or scripted."
        )
    if isinstance(model, torch.fx.GraphModule):
        raise UnsupportedModelError(
            f"{name} is a graph (torch.fx or torch.export), in which no block can be told from "
            "another: give the model that it was made from."
        )


def refuse_missing_weights(model: nn.Module) -> None:
    """Raise :class:`UnsupportedModelError` unless all weights have values in this process."""
    name = type(model).__name__
    if not any(_may_be_missing(parameter) for parameter in _parameters_of(model)):
        return
    for path, parameter in model.named_parameters():
        if parameter.is_meta:
            offloaded = any(hasattr(module, "_hf_hook") for module in model.modules())
            where = "offloaded by accelerate" if offloaded else "on the device 'meta'"
            raise UnsupportedModelError(
                f"Weights of {name} (first {path!r}) are {where}, so they have no values here: "
                "load the whole model to one device (for transformers without device_map=...)."
            )
        if type(parameter).__name__ == "DTensor" or type(parameter.data).__name__ == "DTensor":
            raise UnsupportedModelError(
                f"Weights of {name} (first {path!r}) are sharded over several processes: call "
                "model.unshard(), or give an unsharded copy of the model."
            )


def _parameters_of(model: nn.Module) -> Iterator[nn.Parameter]:
    """All parameters without their names, some of them more than once."""
    for module in modules_of(model):
        for parameter in module._parameters.values():
            if parameter is not None:
                yield parameter


def _may_be_missing(parameter: nn.Parameter) -> bool:
    """False for what is a plain parameter, with values."""
    return parameter.is_meta or type(parameter) is not nn.Parameter


def held_model(model: nn.Module) -> str | None:
    """The path to the one module that holds all that a wrapper has, if there is one."""
    parameters = {id(p) for p in model.parameters()}
    path: list[str] = []
    inner = model
    while True:
        children = {
            name: child
            for name, child in inner.named_children()
            if {id(p) for p in child.parameters()} == parameters and parameters
        }
        if len(children) != 1:
            return ".".join(path) or None
        name, inner = next(iter(children.items()))
        path.append(name)
        if path and type(inner).__module__.split(".")[0] not in ("peft", "torch"):
            return ".".join(path)


def _held(model: object) -> str | None:
    for name in _HOLDERS:
        try:
            inner = getattr(model, name, None)
        except Exception:  # a property that wants more than was set up
            continue
        if isinstance(inner, nn.Module):
            return name
    return None
