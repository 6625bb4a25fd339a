"""What a smaller model must keep, or how small it must become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.head_index import whole_number

__all__ = ["Goal", "goal_of"]


@dataclass(frozen=True)
class Goal:
    """A budget: a share of the accuracy or of the forward time, or a number of heads."""

    kind: Literal["accuracy", "heads", "latency"]
    value: float

    def __str__(self) -> str:
        if self.kind == "heads":
            return f"{self.value:g} head{'' if self.value == 1 else 's'} left"
        least = "at least" if self.kind == "accuracy" else "at most"
        of = "the accuracy" if self.kind == "accuracy" else "the forward time"
        return f"{least} {self.value:.4g} of {of}"


def goal_of(
    vit: VisionTransformer,
    keep_accuracy: float | None,
    heads: int | None,
    latency: float | None,
) -> Goal:
    """The one budget that was given.

    Raises
    ------
    ParameterError
        If none or several were given, or one that no smaller model can have.
    """
    budgets = {"keep_accuracy": keep_accuracy, "heads": heads, "latency": latency}
    several = [name for name, value in budgets.items() if value is not None]
    if len(several) != 1:
        said = "no budget was given" if not several else f"{' and '.join(several)} were given"
        raise ParameterError(
            f"Prune to what: {said}. Give one: keep_accuracy=0.99, heads=72, or latency=0.8."
        )
    if heads is not None:
        total, left = sum(vit.num_heads), whole_number(heads)
        if left is None or not 0 <= left < total:
            raise ParameterError(
                f"heads is {heads!r}, the number that is left: {vit.name} has {total}, so give a "
                f"whole number from 0 to {total - 1}."
            )
        return Goal("heads", left)
    (name,) = several
    share = budgets[name]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise ParameterError(
            f"{name} is {share!r}: give a share of the whole model's, above 0 and at most 1."
        )
    return Goal("accuracy" if name == "keep_accuracy" else "latency", float(share))
