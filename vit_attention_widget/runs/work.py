"""What a worker is given, what it does, and what it means that it ended."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future
from typing import Any, TypeVar

from ..data.reader import Batch
from ..errors import ParameterError
from ..support.progress import no_progress

__all__ = ["Sent", "has_ended", "is_killed", "load", "result_of", "work"]

_R = TypeVar("_R")


class Sent:
    """What a worker is given, opened where an error reaches the caller."""

    def __init__(self, *what: object) -> None:
        self.what: Any = what

    def __getstate__(self) -> bytes:
        if isinstance(self.what, bytes):  # an engine sends it on
            return self.what
        try:
            by = importlib.import_module("cloudpickle")  # comes with Dask, and takes lambdas
        except ImportError:
            by = pickle
        data: bytes = by.dumps(self.what)
        return data

    def __setstate__(self, state: bytes) -> None:
        self.what = state

    def opened(self) -> Any:
        """What was given."""
        return pickle.loads(self.what) if isinstance(self.what, bytes) else self.what


def work(sent: Sent) -> list[Any]:
    """The complete parts of a batch, in order."""
    model, measure, batch = sent.opened()
    return [part for part in measure(model.vit, no_progress, batch, None) if part.complete]


def load(sent: Sent) -> None:
    """The model alone."""
    (model,) = sent.opened()
    _ = model.vit


def result_of(future: Future[_R], under_way: Callable[[], Sequence[Batch]]) -> _R:
    """What a worker did; ``under_way`` gives the batches that it may have ended of.

    Raises
    ------
    ParameterError
        If a worker lacks a package.
    RuntimeError
        If workers ended, with the images that were under way.
    Exception
        Whatever else the worker raised.
    """
    try:
        return future.result()
    except Exception as error:
        if isinstance(error, ImportError):  # of what is sent, before anything of ours runs
            raise ParameterError(
                f"A worker cannot import {error.name or 'what it is sent'} ({error}): install it "
                "there, in the same version as here."
            ) from error
        broken = isinstance(error, BrokenExecutor)  # all that it had
        if not broken and not is_killed(error):
            raise
        batches = under_way()
        first, ended = batches[0], batches[-1 if broken else 0]
        images = f"images {first.first} to {ended.first + len(ended) - 1} were"
        raise RuntimeError(
            f"Workers ended while {images if len(ended) > 1 else f'image {first.first} was'} "
            f"computed ({type(error).__name__}: {error})."
        ) from error


def has_ended(error: BaseException) -> bool:
    """Whether an error of :func:`result_of` is that its executor is broken."""
    return isinstance(error.__cause__, BrokenExecutor)


def is_killed(error: BaseException | None) -> bool:
    """Whether it is Dask's: a batch ended its worker each time."""
    return type(error).__name__ == "KilledWorker" or (
        error is not None and error.__cause__ is not None and is_killed(error.__cause__)
    )
