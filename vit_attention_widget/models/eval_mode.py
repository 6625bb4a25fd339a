"""Run a model in evaluation mode and eagerly for a while, and leave it as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import nn

from ..capture.eager import eagerly

__all__ = ["evaluating"]

# Training mode makes a pass random. A checkpointed pass runs again during the backward pass, when
# nobody watches it any more.
_SWITCHES = ("training", "grad_checkpointing")


@dataclass
class _Held:
    """The switches of a module that were on, and how many bodies keep them off now."""

    were_on: tuple[str, ...]
    bodies: int = 0


_lock = threading.Lock()
_held: WeakKeyDictionary[nn.Module, _Held] = WeakKeyDictionary()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run the body with every submodule in evaluation mode and without gradient checkpointing.

    Nor is compiled code run; see :func:`~..capture.eager.eagerly`. Each submodule's own switches
    are restored when the body ends, however it ends. Where bodies overlap in several threads, the
    last one restores them.
    """
    mine: list[nn.Module] = []
    with _lock:
        for module in model.modules():
            if module in _held or _switches_on(module):
                _hold(module)
                mine.append(module)
    try:
        with eagerly(model):
            yield
    finally:
        with _lock:
            for module in mine:
                _release(module)


def _switches_on(module: nn.Module) -> tuple[str, ...]:
    return tuple(name for name in _SWITCHES if vars(module).get(name) is True)


def _hold(module: nn.Module) -> None:
    held = _held.setdefault(module, _Held(_switches_on(module)))
    held.bodies += 1
    for name in held.were_on:
        setattr(module, name, False)


def _release(module: nn.Module) -> None:
    held = _held[module]
    held.bodies -= 1
    if held.bodies == 0:
        del _held[module]
        for name in held.were_on:
            setattr(module, name, True)
