"""An accuracy that knows of how many images it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..results.storage import JsonObject
from ..results.unfinished import Unfinished

__all__ = ["Accuracy", "Decided"]


@dataclass(frozen=True)
class Decided:
    """How many of some images were decided rightly; of each the share of its classes."""

    right: float
    count: int
    complete: bool = True

    def __len__(self) -> int:
        return self.count

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        return {"right": torch.tensor(self.right, dtype=torch.float64)}, {"count": self.count}

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Decided:
        return cls(float(tensors["right"]), int(about["count"]))


class Accuracy(Unfinished, float):
    """A share of images, in [0, 1].

    Attributes
    ----------
    done : int
        Number of images that it is the share of.
    error : Exception or None
        What ended the computation early.
    total : int or None
        Number of images that there were, where that is known.
    complete : bool
        Whether it is of all images.
    """

    _done: int

    def __new__(  # noqa: D102
        cls,
        share: float,
        done: int,
        total: int | None = None,
        error: Exception | None = None,
        *,
        ongoing: bool = False,
    ) -> Accuracy:
        new = super().__new__(cls, share)
        new._done, new.total, new.error, new.ongoing = done, total, error, ongoing
        return new

    @classmethod
    def of(cls, parts: Sequence[Decided], total: int | None) -> Accuracy:
        """The share of all images of some parts."""
        right, count = 0.0, 0
        for part in parts:
            right += part.right
            count += part.count
        return cls(right / count, count, total, ongoing=total is None or count < total)

    def __repr__(self) -> str:
        return float.__repr__(self) + self._shortfall()

    @property
    def done(self) -> int:
        """Number of images that it is the share of."""
        return self._done

    def _stopped(self, error: Exception) -> Accuracy:
        return Accuracy(float(self), self.done, self.total, error)

    def _ended(self) -> Accuracy:
        return Accuracy(float(self), self.done, self.done)

    def __reduce__(self) -> tuple[object, ...]:
        return Accuracy, (float(self), self.done, self.total, self.error)
