"""Run compiled parts of a model as they were written."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

__all__ = ["eagerly", "is_compiled"]

_lock = threading.Lock()
_bodies = 0
_stance = ExitStack()


def is_compiled(model: nn.Module) -> bool:
    """Whether ``torch.compile`` was used on a model, on a module in it, or on one's forward."""
    if "torch._dynamo" not in sys.modules:
        return False
    return any(
        getattr(module, "_compiled_call_impl", None) is not None
        or "_orig_mod" in module._modules
        or hasattr(vars(module).get("forward"), "_torchdynamo_orig_callable")
        for module in model.modules()
    )


@contextmanager
def eagerly(model: nn.Module | None = None) -> Iterator[None]:
    """Run the body without compiled code: a model's, if it has any; by default whoever's.

    Attention cannot be seen inside a compiled graph, nor can one be made while it is looked for.
    The switch is PyTorch's own and holds for all
    threads; where bodies overlap, the last one turns it back.
    """
    global _bodies
    if not ("torch._dynamo" in sys.modules if model is None else is_compiled(model)):
        yield
        return
    with _lock:
        if _bodies == 0:
            _stance.enter_context(torch.compiler.set_stance("force_eager"))
        _bodies += 1
    try:
        yield
    finally:
        with _lock:
            _bodies -= 1
            if _bodies == 0:
                _stance.close()
