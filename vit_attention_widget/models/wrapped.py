"""The module that was written, below what it was wrapped in."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["note", "unwrapped"]

_PASS_ON = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)
"""Wrappers that do nothing with images and logits but pass them on."""


def unwrapped(model: Any) -> tuple[nn.Module, list[str]]:
    """The module below ``torch.compile``, ``DataParallel`` and the like, and the names of these."""
    wrappers: list[str] = []
    while True:
        if isinstance(model, torch.jit.ScriptModule):
            return model, wrappers
        inner = model._modules.get("_orig_mod")  # a compiled module's
        if inner is not None:
            wrappers.append("torch.compile")
        elif isinstance(model, _PASS_ON) or _averages(model):
            wrappers.append(type(model).__name__)
            inner = model.module
        elif type(model).__module__.startswith("peft.") and hasattr(model, "get_base_model"):
            inner = model.get_base_model()  # its layers hold the adapters
        else:
            return model, wrappers
        model = inner


def _averages(model: nn.Module) -> bool:
    """Whether this is one of timm's holders of averaged weights."""
    return type(model).__module__ == "timm.utils.model_ema"


def note(wrappers: list[str]) -> str:
    """What a model's name says of wrappers that are not used."""
    return f" (without {' and '.join(wrappers)})" if wrappers else ""
