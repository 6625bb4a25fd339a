"""How far to go on a curve: what a budget says of the accuracies, heads or times so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from ...errors import ParameterError
from ...models import VisionTransformer
from ..cut.run import prune_heads
from ..share_left import heads_within
from .cost import Race
from .goal import Goal

__all__ = ["Limit"]

Head = tuple[int, int]

_CHECKS = 16
"""A time is measured this often along a curve of all heads, then between two of these places."""


@dataclass
class Limit:
    """A budget that is watched as heads go.

    Parameters
    ----------
    goal : Goal
    whole : VisionTransformer
    race : callable
        Makes the :class:`.Race` against which smaller models are timed; called if need be.
    """

    goal: Goal
    whole: VisionTransformer
    race: Callable[[], Race]
    _too_slow: int = 0
    _timed: Race | None = field(default=None, repr=False)

    @property
    def most(self) -> int:
        """The most heads that can go."""
        total = sum(self.whole.num_heads)
        return total - int(self.goal.value) if self.goal.kind == "heads" else total

    def allows(self, accuracy: float, of_whole: float) -> bool:
        """Whether an accuracy is within the budget; any is where no accuracy was asked for."""
        too_low = heads_within([of_whole, accuracy], self.goal.value) is not None
        return self.goal.kind != "accuracy" or not too_low

    def reached(self, order: Sequence[Head], accuracies: Sequence[float]) -> int | None:
        """How many of these heads go; None while more have to be seen."""
        kind, count = self.goal.kind, len(order)
        if kind == "accuracy":
            return heads_within(accuracies, self.goal.value)
        if kind == "heads":
            return count if count == self.most else None
        every = max(1, self.most // _CHECKS)
        if count == 0 or (count % every and count < self.most):
            return None
        if not self.is_quick(self.without(order)):
            self._too_slow = count
            return None
        return self._first_quick(order, self._too_slow, count)

    def without(self, heads: Sequence[Head]) -> nn.Module:
        """The model without these heads of the whole one."""
        return prune_heads(self.whole, heads)

    def is_quick(self, small: nn.Module) -> bool:
        """Whether a smaller model's time is within the budget, by this measurement."""
        self._timed = self._timed or self.race()
        return self._timed.against(small).ratio <= self.goal.value

    def check(self) -> None:
        """Raise :class:`ParameterError` if a model without any head would be too slow."""
        if self.goal.kind != "latency":
            return
        self._timed = self._timed or self.race()
        every = {layer: range(count) for layer, count in enumerate(self.whole.num_heads)}
        least = self._timed.against(prune_heads(self.whole, every)).ratio
        if least > self.goal.value:
            raise ParameterError(
                f"latency={self.goal.value:g} cannot be reached by pruning heads: without any, "
                f"a forward pass still takes {least:.2f} of the whole model's. Ask for more than "
                "that."
            )

    def _first_quick(self, order: Sequence[Head], slow: int, quick: int) -> int:
        """By halves, the fewest heads without which the model is quick enough."""
        while quick - slow > 1:
            middle = (slow + quick) // 2
            if self.is_quick(self.without(order[:middle])):
                quick = middle
            else:
                slow = middle
        return quick
