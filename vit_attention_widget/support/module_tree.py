"""The modules of a model, for walks that are taken with every pass."""

from __future__ import annotations

from torch import nn

__all__ = ["modules_of", "paths_of"]


def modules_of(model: nn.Module) -> list[nn.Module]:
    """``list(model.modules())`` in a fifth of its time, which goes to generators in generators."""
    modules: dict[nn.Module, None] = {}
    left = [model]
    while left:
        module = left.pop()
        if module not in modules:
            modules[module] = None
            left += [child for child in reversed(module._modules.values()) if child is not None]
    return list(modules)


def paths_of(model: nn.Module) -> dict[nn.Module, str]:
    """The path of each module, the first of several; in the order of ``named_modules()``."""
    paths: dict[nn.Module, str] = {}
    left = [("", model)]
    while left:
        path, module = left.pop()
        if module not in paths:
            paths[module] = path
            start = f"{path}." if path else ""
            children = reversed(module._modules.items())
            left += [(start + name, child) for name, child in children if child is not None]
    return paths
