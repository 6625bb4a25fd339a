"""Run compiled models eagerly for the duration of a block of code."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from ..support.module_tree import modules_of
from .flex import flex_is_loaded

__all__ = ["eagerly", "is_compiled"]

_lock = threading.Lock()
_bodies: set[object] = set()
"""Bodies of :func:`eagerly` that run now, in any thread."""
_stance = ExitStack()


def is_compiled(model: nn.Module) -> bool:
    """Whether ``torch.compile`` was applied to a model, to a module in it, or to a ``forward``."""
    if "torch._dynamo" not in sys.modules:
        return False
    for module in modules_of(model):
        if getattr(module, "_compiled_call_impl", None) is not None:
            return True
        if "_orig_mod" in module._modules:
            return True
        forward = vars(module).get("forward")
        if forward is not None and hasattr(forward, "_torchdynamo_orig_callable"):
            return True
    return False


def _may_compile(model: nn.Module) -> bool:
    """Whether a model has compiled parts, or may call flex_attention, which compiles itself."""
    return is_compiled(model) or flex_is_loaded()


@contextmanager
def eagerly(model: nn.Module | None = None) -> Iterator[None]:
    """Run eagerly what ``torch.compile`` has compiled, inside the ``with`` block.

    Attention inside a compiled graph cannot be observed, and no graph can be compiled while
    attention is observed. PyTorch's switch for this affects all threads; if several blocks
    overlap, the last one to end switches compiled code on again.

    Parameters
    ----------
    model : nn.Module, optional
        Do nothing unless this model has compiled parts, or flex_attention, which compiles itself,
        may be called. By default compiled code is switched off wherever it comes from.
    """
    if not ("torch._dynamo" in sys.modules if model is None else _may_compile(model)):
        yield
        return
    body = object()
    try:
        with _lock:
            if not _bodies:
                _stance.enter_context(torch.compiler.set_stance("force_eager"))
            _bodies.add(body)
        yield
    finally:
        with _lock:
            _bodies.discard(body)
            if not _bodies:
                _stance.close()
