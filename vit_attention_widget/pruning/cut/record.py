"""What was pruned of a model, kept with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index

from torch import nn

from ...support.deprecation import renamed_attribute

__all__ = ["Pruning", "pruning_of"]


@dataclass(frozen=True)
class Pruning:
    """What was pruned of a model, in heads of the original.

    Attributes
    ----------
    cut : dict
        ``{layer: (heads)}`` whose weights are no longer there.
    zeroed : dict
        ``{layer: (heads)}`` that could not be cut: the weights of their values are zero.
    """

    cut: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    zeroed: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    silenced = renamed_attribute("zeroed")

    @property
    def heads(self) -> dict[int, tuple[int, ...]]:
        """``{layer: (heads)}`` that were pruned in either way."""
        return _merged(self.cut, self.zeroed)

    def numbers(self, layer: int, count: int) -> list[int]:
        """The number in the original of each of the ``count`` heads that a layer has now."""
        cut = self.cut.get(layer, ())
        return [head for head in range(count + len(cut)) if head not in cut]

    def __or__(self, more: Pruning) -> Pruning:
        """What was pruned in two steps."""
        return Pruning(_merged(self.cut, more.cut), _merged(self.zeroed, more.zeroed))

    def to_json(self) -> dict[str, dict[str, list[int]]]:
        """Layers and heads as JSON has them."""
        parts = {"cut": self.cut, "zeroed": self.zeroed}
        return {
            name: {str(layer): list(heads) for layer, heads in part.items()}
            for name, part in parts.items()
        }

    @classmethod
    def from_json(cls, parts: Mapping[str, Mapping[str, list[int]]]) -> Pruning:
        """The opposite of :meth:`to_json`; files of release 0.1 say ``silenced`` for ``zeroed``."""
        cut, zeroed = parts["cut"], parts["zeroed" if "zeroed" in parts else "silenced"]
        return cls(
            *(
                {int(layer): tuple(map(index, heads)) for layer, heads in part.items()}
                for part in (cut, zeroed)
            )
        )


def pruning_of(model: nn.Module) -> Pruning:
    """Which heads :func:`~..prune_heads` pruned from a model; none for any other model."""
    pruning = getattr(model, "_vaw_pruning", None)
    return pruning if isinstance(pruning, Pruning) else Pruning()


def _merged(*parts: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    """``{layer: (heads)}`` of several, sorted and unique."""
    heads: dict[int, tuple[int, ...]] = {}
    for part in parts:
        for layer, more in part.items():
            heads[layer] = tuple(sorted({*heads.get(layer, ()), *more}))
    return heads
