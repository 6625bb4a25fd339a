"""Images batch by batch: here, or where an executor computes; those that fail one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..support.progress import Counted, Progress, over_images
from .elsewhere import computed
from .kept import Kept, Measure, Part, measured, unknown
from .skipped import Failures, OnError, checked_on_error, is_of_an_image

__all__ = ["in_batches"]

_P = TypeVar("_P", bound=Part)
_R = TypeVar("_R")


def in_batches(
    read: Iterator[Batch],
    measure: Measure[_P],
    kept: Kept[_P, _R],
    vit: VisionTransformer,
    report: Progress,
    executor: Executor | None = None,
    total: int | None = None,
    on_error: OnError | None = None,
) -> Iterator[None]:
    """Measure what is not kept yet; yields after each step.

    Parameters
    ----------
    read : iterator of Batch
    measure : callable
    kept : Kept
    vit : VisionTransformer
    report : callable
        Progress over all images; its labels will also say how many a second are computed.
    executor : Executor, optional
    total : int, optional
        Number of images, where that is known.
    on_error : {"raise", "skip", "retry"}, optional
        What becomes of an image that cannot be computed; see :data:`.OnError`.

    Raises
    ------
    ParameterError
        If what is kept is of more images than there are, or the executor is none.
    """
    on_error = checked_on_error(on_error, executor)
    kept.tries_again = on_error != "skip"
    failures = Failures(lambda image, skipped: kept.put(image.first, skipped, image.told))
    skips = failures if on_error != "raise" else None
    counted = Counted(report)
    if executor is not None:
        if not hasattr(executor, "submit") or hasattr(executor, "get_executor"):
            raise ParameterError(
                f"executor is a {type(executor).__name__}: give one of concurrent.futures, or "
                "Dask's client.get_executor(pure=False, retries=2)."
            )
        todo = unknown(read, kept)
        yield from computed(executor, vit, measure, todo, kept, counted, total, skips)
    else:
        for batch in unknown(read, kept):
            if batch is None:
                yield
                continue
            here = partial(measure, vit, over_images(counted, batch.first, len(batch), total))
            yield from _computed_here(here, batch, kept, skips)
            counted.computed(len(batch))
    failures.ended(kept.holds(0))


def _computed_here(
    measure: Callable[[Batch, _P | None], Iterator[_P]],
    batch: Batch,
    kept: Kept[_P, _R],
    skips: Failures | None,
) -> Iterator[None]:
    """Measure a batch; image by image where one of them cannot be computed."""
    try:
        for _ in measured(partial(measure, batch), batch.first, batch.told, kept):
            if skips is not None:
                skips.computed()
            yield
    except Exception as error:
        if skips is None or not is_of_an_image(error, elsewhere=False):
            raise
        if len(batch) == 1:
            skips.add(batch, error)
            return
        for image in batch.one_by_one():
            if kept.known_until(image.first, image.told) == image.first:
                yield from _computed_here(measure, image, kept, skips)
