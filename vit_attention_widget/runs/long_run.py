"""The one shape of every long function: what it goes on from, who computes, who is told.

A long function says how a few images are measured and how parts of its result are joined::

    how = How(start, store, executor, on_error, progress)
    with long_run("evaluate", vit, Evaluation, join, parts, how, total, seed=seed) as run:
        yield from run.kept.each(run.over(batches(images, target, 8), measure))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from ..data.reader import Batch
from ..models import VisionTransformer
from ..results.unfinished import Unfinished
from ..support.progress import Progress, ProgressLike, reporting
from ..support.stopped import keeping
from .batches import in_batches
from .folder import StoredPart, kept_in
from .gaps import with_gaps
from .kept import Kept, Measure, measured
from .manifest import manifest
from .skipped import OnError

__all__ = ["How", "LongRun", "long_run"]

_P = TypeVar("_P", bound=StoredPart)
_R = TypeVar("_R")


@dataclass(frozen=True)
class How:
    """What users say of every long run, in the words of its parameters."""

    start: Any = None
    store: str | Path | None = None
    executor: Executor | None = None
    on_error: OnError | None = None
    progress: ProgressLike = None


@dataclass(frozen=True)
class LongRun(Generic[_P, _R]):
    """A run that is going on.

    Attributes
    ----------
    vit : VisionTransformer or several by name
    kept : Kept
        What is computed, and its result so far.
    report : callable
        Progress over all.
    total : int or None
        Number of images, where that is known.
    how : How
    """

    vit: VisionTransformer | Mapping[str, VisionTransformer]
    kept: Kept[_P, _R]
    report: Progress
    total: int | None
    how: How

    def over(
        self, read: Iterator[Batch], measure: Measure[_P], report: Progress | None = None
    ) -> Iterator[None]:
        """Measure batches that are not kept yet, here or elsewhere; yields after each step."""
        assert isinstance(self.vit, VisionTransformer)
        yield from in_batches(
            read,
            measure,
            self.kept,
            self.vit,
            report or self.report,
            self.how.executor,
            self.total,
            self.how.on_error,
        )

    def once(
        self,
        measure: Callable[[_P | None], Iterator[_P]],
        images: Sequence[object] | Tensor,
        first: int = 0,
    ) -> Iterator[None]:
        """Measure images that are together already, such as a trace's."""
        yield from measured(measure, first, images, self.kept)


@contextmanager
def long_run(
    function: str,
    vit: VisionTransformer | Mapping[str, VisionTransformer],
    of: type[_P],
    join: Callable[[Sequence[_P]], _R],
    parts: Sequence[_P],
    how: How,
    total: int | None,
    **options: object,
) -> Iterator[LongRun[_P, _R]]:
    """Open what a run keeps and says; whatever ends it early has what there was by then.

    Parameters
    ----------
    function : str
        Its name.
    vit : VisionTransformer, or several by name
    of : type
        Of the parts.
    join : callable
        See :class:`.Kept`.
    parts : sequence
        What ``how.start`` holds.
    how : How
    total : int or None
        Number of images, where that is known.
    **options
        What changes the numbers: what the folder says that it is of.
    """
    missing = how.start._images_skipped() if isinstance(how.start, Unfinished) else {}
    about = partial(manifest, function, vit, **options, total=total)
    kept = kept_in(how.store, of, join, with_gaps(parts, missing), about, total)
    with reporting(how.progress) as report, keeping(kept.gained):
        yield LongRun(vit, kept, report, total, how)
