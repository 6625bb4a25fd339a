"""Run a model in evaluation mode in this thread alone, without writing to it.

Another thread may be training the same model. So its switches are not turned off: while a body
runs, reading one of them in the body's own thread yields False, and every other thread reads, and
sets, what stands in the module.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ..capture.eager import eagerly
from ..support.interrupts import interrupts_deferred
from ..support.module_tree import modules_of

__all__ = ["evaluating"]

# Training mode makes a pass random. A checkpointed pass runs again during the backward pass, when
# nobody watches it any more.
_SWITCHES = ("training", "grad_checkpointing")


class _EvaluatedModules(threading.local):
    """The modules, by id, that each running body of this thread evaluates."""

    def __init__(self) -> None:
        self.of_bodies: dict[object, frozenset[int]] = {}

    def __contains__(self, module: nn.Module) -> bool:
        return any(id(module) in modules for modules in self.of_bodies.values())


_evaluated = _EvaluatedModules()
_lock = threading.Lock()
_bodies: set[object] = set()
"""Bodies that run now, in any thread."""


class _SwitchOfThread:
    """A switch of every module: off in a thread that evaluates it, as it was set elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, module: nn.Module | None, owner: type[nn.Module]) -> object:
        switches = vars(owner if module is None else module)
        if module is None or self._name not in switches:
            raise AttributeError(f"{owner.__name__!r} has no attribute {self._name!r}")
        return False if module in _evaluated else switches[self._name]

    def __set__(self, module: nn.Module, value: object) -> None:
        vars(module)[self._name] = value

    def __delete__(self, module: nn.Module) -> None:
        del vars(module)[self._name]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run the body with every submodule in evaluation mode and without gradient checkpointing.

    Nor is compiled code run; see :func:`~..capture.eager.eagerly`. This holds in the thread of the
    body: a training step in another thread keeps its dropout, and what another thread sets stays.
    Ctrl-C waits for the end of a block or of the body; put this before other ``with`` items, so
    that it waits for these too.
    """
    modules = frozenset(map(id, modules_of(model)))
    body, bodies_of_thread = object(), _evaluated.of_bodies
    with interrupts_deferred():
        try:
            bodies_of_thread[body] = modules
            _put_up_switches(body)
            with eagerly(model):
                yield
        finally:
            bodies_of_thread.pop(body, None)
            _take_down_switches(body)


def _put_up_switches(body: object) -> None:
    with _lock:
        _bodies.add(body)
        for name in _SWITCHES:
            if name not in vars(nn.Module):
                setattr(nn.Module, name, _SwitchOfThread(name))


def _take_down_switches(body: object) -> None:
    with _lock:
        _bodies.discard(body)
        for name in _SWITCHES:
            if not _bodies and name in vars(nn.Module):
                delattr(nn.Module, name)
