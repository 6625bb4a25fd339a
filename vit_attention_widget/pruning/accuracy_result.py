"""An accuracy that knows of how many images it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    _right: float
    """How many were decided rightly: as a share times their number they would be rounded."""

    def __new__(  # noqa: D102
        cls,
        share: float,
        done: int,
        total: int | None = None,
        error: Exception | None = None,
        *,
        ongoing: bool = False,
        right: float | None = None,
    ) -> Accuracy:
        new = super().__new__(cls, share)
        new._done, new.total, new.error, new.ongoing = done, total, error, ongoing
        new._right = share * done if right is None else right
        return new

    @classmethod
    def of(cls, parts: Sequence[Decided]) -> Accuracy:
        """The share of all images of some parts."""
        right, count = 0.0, 0
        for part in parts:
            right += part.right
            count += part.count
        return cls(right / count, count, right=right)

    def _so_far(self, total: int | None, ongoing: bool, skipped: Mapping[int, str]) -> Accuracy:
        return Accuracy(float(self), self.done, total, ongoing=ongoing, right=self._right)

    def parts(self) -> list[Decided]:
        """What it is the share of, to go on from."""
        return [Decided(self._right, self.done)]

    def __repr__(self) -> str:
        return float.__repr__(self) + self._shortfall()

    @property
    def done(self) -> int:
        """Number of images that it is the share of."""
        return self._done

    def _stopped(self, error: Exception) -> Accuracy:
        return Accuracy(float(self), self.done, self.total, error, right=self._right)

    def _ended(self) -> Accuracy:
        return Accuracy(float(self), self.done, self.done, right=self._right)

    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:
        more: dict[str, object] = {"ongoing": self.ongoing, "right": self._right}
        return (float(self), self.done, self.total, self.error), more
