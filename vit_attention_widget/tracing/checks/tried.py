"""What a trial of a model showed, for as long as the model is what it was then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from torch import nn

from ..forward_pass import ForwardPass

__all__ = ["Tried"]

_R = TypeVar("_R")


class Tried(Generic[_R]):
    """A trial made once for each state of a model's weights, parts and hooks."""

    def __init__(self, trial: Callable[[ForwardPass], _R]) -> None:
        self._trial = trial
        self._seen: WeakKeyDictionary[nn.Module, tuple[object, _R]] = WeakKeyDictionary()

    def of(self, recorded: ForwardPass) -> _R:
        """What it shows of the model of a recorded pass."""
        model, weights = recorded.model.model, recorded.weights
        now = weights.parts, weights.tensors, weights.sample, recorded.hooks
        seen = self._seen.get(model)
        if seen is None or seen[0] != now:
            seen = self._seen[model] = now, self._trial(recorded)
        return seen[1]
