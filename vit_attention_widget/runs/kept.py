"""The parts of a result that were computed, and the images that each is of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..support.progress import Progress

__all__ = ["Kept", "Measure", "Part", "measured", "unknown"]


class Part(Protocol):
    """A result of some images."""

    def __len__(self) -> int: ...

    @property
    def complete(self) -> bool:
        """Whether all is known of them."""


_P = TypeVar("_P", bound=Part)
_R = TypeVar("_R")


class Measure(Protocol[_P]):
    """What measures images; a module's own function, with options by ``functools.partial``."""

    def __call__(
        self, vit: VisionTransformer, report: Progress, batch: Batch, before: _P | None, /
    ) -> Iterator[_P]:
        """Yield parts of a batch in order.

        An incomplete one any number of times, then the complete one. ``before`` is an incomplete
        part that is known of all its images, or None; ``report`` is over all images. One that
        is not the same for every batch has a method ``alone(batch)``, which gives what is sent
        elsewhere.
        """


class Kept(Generic[_P, _R]):
    """Parts of a result, by the number of their first image.

    Parameters
    ----------
    join : callable
        Makes the result of consecutive parts, of which only the last may be incomplete.
    parts : sequence, optional
        Those of the first images, to go on from.
    """

    folder: Path | None = None
    """Where parts are kept on the disk."""

    def __init__(self, join: Callable[[Sequence[_P]], _R], parts: Sequence[_P] = ()) -> None:
        self._join, self._parts = join, dict[int, _P]()
        for part in parts:
            self._parts[sum(map(len, self._parts.values()))] = part
        self._gained = False

    def get(self, first: int, images: Sequence[object] | Tensor) -> _P | None:
        """The part that begins with this image; ``images`` are those from there on."""
        return self._parts.get(first)

    def known_until(self, first: int, images: Sequence[object] | Tensor) -> int:
        """The image up to which all is known from ``first`` on, if it is ``first`` itself."""
        part = self.get(first, images)
        return first + len(part) if part is not None and part.complete else first

    def holds(self, number: int) -> bool:
        """Whether something is known of an image, where all is of those before it."""
        return number in self._parts

    def room(self, first: int) -> int:
        """How many images from this one on may be of one part."""
        return sys.maxsize

    def put(self, first: int, part: _P, images: Sequence[object] | Tensor) -> None:
        """Keep a part; one of the same images that was known before is replaced."""
        self._parts[first], self._gained = part, True

    def each(self, run: Iterator[None]) -> Iterator[_R]:
        """The result after each step."""
        for _ in run:
            yield self.result()

    def after(self, run: Iterator[None]) -> _R:
        """The result after all steps."""
        for _ in run:
            pass
        return self.result()

    def result(self) -> _R:
        """What is known of the first images up to those of which nothing is; there must be one."""
        return self._join(list(self._first_parts()))

    def gained(self) -> _R | None:
        """:meth:`result`; None where it is no more than what was there to go on from."""
        parts = list(self._first_parts()) if self._gained else []
        return self._join(parts) if parts else None

    def _first_parts(self) -> Iterator[_P]:
        first = 0
        while (part := self._parts.get(first)) is not None:
            yield part
            if not part.complete:
                return
            first += len(part)


def unknown(read: Iterator[Batch], kept: Kept[_P, _R]) -> Iterator[Batch | None]:
    """Batches of which not all is kept yet; None for images of which it is.

    Raises
    ------
    ParameterError
        If what is kept is of more images than there are.
    """
    known = there = 0  # images of which all is known, and that there are
    for batch in read:
        there = batch.first + len(batch)
        batch = batch.part(min(len(batch), max(0, known - batch.first)), len(batch))
        while len(batch):
            known = max(known, kept.known_until(batch.first, batch.images))
            if known > batch.first:
                batch = batch.part(min(known - batch.first, len(batch)), len(batch))
                yield None
                continue
            before = kept.get(batch.first, batch.images)  # incomplete, if there is one
            count = len(batch) if before is None else min(len(before), len(batch))
            some = batch.part(0, min(count, kept.room(batch.first)))
            yield some
            batch = batch.part(len(some), len(batch))
    if known > there or kept.holds(there):
        raise ParameterError(
            f"What there is to go on from is of more than the {there} images that were given: give "
            "all of them, in the same order."
        )


def measured(
    measure: Callable[[_P | None], Iterator[_P]],
    first: int,
    images: Sequence[object] | Tensor,
    kept: Kept[_P, _R],
) -> Iterator[None]:
    """Measure some images, from number ``first`` on; yields after each step.

    ``measure`` is given the incomplete part that is known of all of them, or None, and yields parts
    of them in order: an incomplete one any number of times, then the complete one.
    """
    before = kept.get(first, images)
    if before is not None and len(before) != len(images):  # of other batches than now
        before = None
    if before is not None and before.complete:
        yield
        return
    for part in measure(before):
        kept.put(first, part, images)
        if part.complete:
            first, images = first + len(part), images[len(part) :]
        yield
