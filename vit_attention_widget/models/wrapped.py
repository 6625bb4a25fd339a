"""The module that was written, below what it was wrapped in."""

from __future__ import annotations

from torch import nn

__all__ = ["note", "unwrapped"]


def unwrapped(model: nn.Module) -> tuple[nn.Module, list[str]]:
    """The module below ``torch.compile`` and ``DataParallel``, and the names of these."""
    wrappers: list[str] = []
    while True:
        inner = model._modules.get("_orig_mod")  # a compiled module's
        if inner is not None:
            wrappers.append("torch.compile")
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            wrappers.append(type(model).__name__)
            inner = model.module
        else:
            return model, wrappers
        model = inner


def note(wrappers: list[str]) -> str:
    """What a model's name says of wrappers that are not used."""
    return f" (without {' and '.join(wrappers)})" if wrappers else ""
