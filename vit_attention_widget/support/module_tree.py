"""The modules of a model, for walks that are taken with every pass."""

from __future__ import annotations

from torch import nn

__all__ = ["modules_of", "paths_of"]


def modules_of(model: nn.Module) -> list[nn.Module]:
    """``list(model.modules())`` in a fifth of its time, which goes to generators in generators."""
    modules: dict[nn.Module, None] = {model: None}
    _add_modules(model, modules)
    return list(modules)


def paths_of(model: nn.Module) -> dict[nn.Module, str]:
    """The path of each module, the first of several; in the order of ``named_modules()``."""
    paths = {model: ""}
    _add_paths(model, "", paths)
    return paths


def _add_modules(module: nn.Module, modules: dict[nn.Module, None]) -> None:
    for child in module._modules.values():
        if child is not None and child not in modules:
            modules[child] = None
            if child._modules:  # most have none
                _add_modules(child, modules)


def _add_paths(module: nn.Module, start: str, paths: dict[nn.Module, str]) -> None:
    for name, child in module._modules.items():
        if child is not None and child not in paths:
            path = paths[child] = start + name
            if child._modules:
                _add_paths(child, f"{path}.", paths)
