"""Images batch by batch: here, or where an executor computes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..support.progress import Progress
from .elsewhere import computed
from .kept import Kept, Measure, Part, measured, unknown

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
) -> Iterator[None]:
    """Measure what is not kept yet; yields after each step.

    Parameters
    ----------
    read : iterator of Batch
    measure : callable
    kept : Kept
    vit : VisionTransformer
    report : callable
        Progress over all images.
    executor : Executor, optional
    total : int, optional
        Number of images, for the progress of an executor.

    Raises
    ------
    ParameterError
        If what is kept is of more images than there are, or the executor is none.
    """
    if executor is not None:
        if not hasattr(executor, "submit"):
            raise ParameterError(
                f"executor is a {type(executor).__name__}: give one of concurrent.futures, or "
                "Dask's client.get_executor()."
            )
        yield from computed(executor, vit, measure, unknown(read, kept), kept, report, total)
        return
    for batch in unknown(read, kept):
        if batch is None:
            yield
        else:
            here = partial(measure, vit, report, batch)
            yield from measured(here, batch.first, batch.images, kept)
