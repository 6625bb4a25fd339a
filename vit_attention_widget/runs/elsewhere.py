"""Parts of a run that an executor computes: in other threads, processes, or on other machines."""

from __future__ import annotations

import importlib
import pickle
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..support.progress import Counted, no_progress
from .kept import Kept, Measure, Part
from .sent_model import SentModel
from .skipped import Failures, is_of_an_image

__all__ = ["computed"]

_AHEAD = 32
"""At most so many batches are with the executor, or wait for one before them."""

_P = TypeVar("_P", bound=Part)
_R = TypeVar("_R")


def computed(
    executor: Executor,
    vit: VisionTransformer,
    measure: Measure[_P],
    todo: Iterator[Batch | None],
    kept: Kept[_P, _R],
    report: Counted,
    total: int | None,
    skips: Failures | None,
) -> Iterator[None]:
    """Measure batches elsewhere and keep their parts in order; yields after each.

    An error is that of the first batch that has one; what is done of those after it is kept. With
    ``skips``, a batch that fails is computed image by image.
    """
    pending: deque[_Task[_P]] = deque()

    def submit(batch: Batch, measure: Measure[_P]) -> _Task[_P]:
        alone = measure.alone(batch) if hasattr(measure, "alone") else measure
        return _Task(batch, alone, executor.submit(_work, _Sent(model, alone, batch)))

    def take() -> None:
        task = pending[0]
        try:
            _keep(task.batch, _result(task.future, pending), kept)
        except Exception as error:
            if skips is None or not is_of_an_image(error, elsewhere=True):
                raise
            one_by_one(task, error, skips)
        else:
            if skips is not None:
                skips.computed()
        pending.popleft()
        done = task.batch.first + len(task.batch)
        report.computed(len(task.batch))
        report(min(1.0, done / total) if total else 0.0, f"computed {done} images")

    def one_by_one(task: _Task[_P], error: Exception, skips: Failures) -> None:
        if _is_killed(error):  # nothing else runs meanwhile, so that it is known who ends a worker
            wait([each.future for each in pending])
        elif len(task.batch) == 1:
            skips.add(task.batch, error)
            return
        for image in task.batch.one_by_one():
            alone = submit(image, task.measure)
            try:
                _keep(image, _result(alone.future, [alone]), kept)
            except Exception as error:
                if not is_of_an_image(error, elsewhere=True):
                    raise
                skips.add(image, error)
            else:
                skips.computed()

    with tempfile.TemporaryDirectory() as temporary:
        model = SentModel(vit, kept.folder or Path(temporary))
        try:
            for batch in todo:
                if batch is not None:
                    pending.append(submit(batch, measure))
                    if len(pending) < _AHEAD:
                        continue
                    take()
                if batch is not None or not pending:  # else there may be no first part yet
                    yield
            while pending:
                take()
                yield
        except BaseException:
            for each in pending:
                future = each.future
                if not future.cancel() and future.done() and future.exception() is None:
                    _keep(each.batch, future.result(), kept)
            raise
        finally:
            for each in pending:
                each.future.cancel()
            model.remove()


@dataclass(frozen=True)
class _Task(Generic[_P]):
    """A batch with the executor."""

    batch: Batch
    measure: Measure[_P]
    future: Future[list[_P]]


def _keep(batch: Batch, parts: list[_P], kept: Kept[_P, _R]) -> None:
    done = 0
    for part in parts:
        kept.put(batch.first + done, part, batch.told[done:])
        done += len(part)


def _result(future: Future[list[_P]], pending: Sequence[_Task[_P]]) -> list[_P]:
    try:
        return future.result()
    except Exception as error:
        if isinstance(error, ImportError):  # of what is sent, before anything of ours runs
            raise ParameterError(
                f"A worker cannot import {error.name or 'what it is sent'} ({error}): install it "
                "there, in the same version as here."
            ) from error
        broken = isinstance(error, BrokenExecutor)  # all that it had
        if not broken and not _is_killed(error):
            raise
        first, ended = pending[0].batch, pending[-1 if broken else 0].batch
        images = f"images {first.first} to {ended.first + len(ended) - 1} were"
        raise RuntimeError(
            f"Workers ended while {images if len(ended) > 1 else f'image {first.first} was'} "
            f"computed ({type(error).__name__}: {error})."
        ) from error


def _is_killed(error: BaseException | None) -> bool:
    """Whether it is Dask's: a batch ended its worker each time."""
    return type(error).__name__ == "KilledWorker" or (
        error is not None and error.__cause__ is not None and _is_killed(error.__cause__)
    )


class _Sent:
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


def _work(sent: _Sent) -> list[Any]:
    """What a worker does: the complete parts of a batch, in order."""
    what = sent.what
    model, measure, batch = pickle.loads(what) if isinstance(what, bytes) else what
    return [part for part in measure(model.vit, no_progress, batch, None) if part.complete]
