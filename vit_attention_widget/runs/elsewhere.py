"""Parts of a run that an executor computes: in other threads, processes, or on other machines."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from ..data.reader import Batch
from ..models import VisionTransformer
from ..support.progress import Counted
from .kept import Kept, Measure, Part
from .renewed import RenewedPool
from .sent_model import SentModel
from .skipped import Failures, is_of_an_image
from .work import Sent, has_ended, is_killed, load, result_of, work

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
    with tempfile.TemporaryDirectory() as temporary:
        model = SentModel(vit, kept.folder or Path(temporary))
        given = _Given(RenewedPool(executor), model, kept, skips)
        try:
            for batch in todo:
                if batch is not None:
                    given.pending.append(given.submit(batch, measure))
                    if len(given.pending) < _AHEAD:
                        continue
                    given.take(report, total)
                if batch is not None or not given.pending:  # else there may be no first part yet
                    yield
            while given.pending:
                given.take(report, total)
                yield
            given.pool.close(wait=True)
        except BaseException:
            given.keep_what_is_done()
            raise
        finally:
            for each in given.pending:
                each.future.cancel()
            given.pool.close()
            model.remove()


@dataclass(frozen=True)
class _Task(Generic[_P]):
    """A batch with the executor."""

    batch: Batch
    measure: Measure[_P]
    future: Future[list[_P]]


class _Given(Generic[_P, _R]):
    """Batches that are with an executor, in order."""

    def __init__(
        self, pool: RenewedPool, model: SentModel, kept: Kept[_P, _R], skips: Failures | None
    ) -> None:
        self.pool, self.pending = pool, deque[_Task[_P]]()
        self._model, self._kept, self._skips = model, kept, skips

    def submit(self, batch: Batch, measure: Measure[_P]) -> _Task[_P]:
        """Give a batch to the executor."""
        alone = measure.alone(batch) if hasattr(measure, "alone") else measure
        future = self.pool.submit(work, Sent(self._model, alone, batch))
        return _Task(batch, alone, future)

    def take(self, report: Counted, total: int | None) -> None:
        """Wait for the first batch and keep its parts."""
        task, skips = self.pending[0], self._skips
        try:
            self._keep(task, self._under_way)
        except Exception as error:
            if skips is None:
                raise
            if has_ended(error):
                self._go_on_in_a_new_pool(error, skips)
            elif is_killed(error):  # nothing else runs meanwhile: it is known who ends a worker
                wait([each.future for each in self.pending])
                self._image_by_image(task, skips)
            else:
                self._failed(task, error, skips)
        else:
            if skips is not None:
                skips.computed()
        self.pending.popleft()
        report.computed(len(task.batch))
        done = task.batch.first + len(task.batch)
        report(min(1.0, done / total) if total else 0.0, f"computed {done} images")

    def keep_what_is_done(self) -> None:
        """Keep the parts of batches that are done, and cancel the others."""
        for each in self.pending:
            future = each.future
            if not future.cancel() and future.done() and future.exception() is None:
                self._keep(each)

    def _keep(
        self, task: _Task[_P], under_way: Callable[[], Sequence[Batch]] | None = None
    ) -> None:
        done, parts = 0, result_of(task.future, under_way or (lambda: [task.batch]))
        for part in parts:
            self._kept.put(task.batch.first + done, part, task.batch.told[done:])
            done += len(part)

    def _under_way(self) -> list[Batch]:
        """Those that the executor may have begun and has not done."""
        done = (each.future.done() and each.future.exception() is None for each in self.pending)
        lost = [each.batch for each, is_done in zip(self.pending, done, strict=True) if not is_done]
        return lost[: self.pool.begun]

    def _go_on_in_a_new_pool(self, error: Exception, skips: Failures) -> None:
        """Give what is lost to a new pool; first, one by one, what the old one may have begun."""
        self._renew(error)
        is_lost = [isinstance(each.future.exception(), BrokenExecutor) for each in self.pending]
        lost = [place for place, lost in enumerate(is_lost) if lost]
        begun = lost[: self.pool.begun]
        for place in begun:
            task = self.pending[place]
            self._alone(task.batch, task.measure, skips)
            done: Future[list[_P]] = Future()
            done.set_result([])
            self.pending[place] = replace(task, future=done)
        for place in lost[len(begun) :]:
            task = self.pending[place]
            self.pending[place] = self.submit(task.batch, task.measure)

    def _renew(self, error: Exception) -> None:
        """Take a new pool, of which a process can load the model; else the error is raised."""
        if not self.pool.renew():
            raise error
        try:
            self.pool.submit(load, Sent(self._model)).result()
        except BrokenExecutor as broken:
            raise RuntimeError(
                f"Workers end as they start or load the model ({type(broken).__name__}: {broken}). "
                'Where they are started by "spawn", a script\'s own calls must stand below if '
                '__name__ == "__main__".'
            ) from broken

    def _alone(self, batch: Batch, measure: Measure[_P], skips: Failures) -> None:
        """Compute a batch while no other is; an image that fails is skipped."""
        task = self.submit(batch, measure)
        try:
            self._keep(task)
        except Exception as error:
            if has_ended(error):
                self._renew(error)
            self._failed(task, error, skips)
        else:
            skips.computed()

    def _failed(self, task: _Task[_P], error: Exception, skips: Failures) -> None:
        if not has_ended(error) and not is_of_an_image(error, elsewhere=True):
            raise error
        if len(task.batch) == 1:
            skips.add(task.batch, error)
        else:
            self._image_by_image(task, skips)

    def _image_by_image(self, task: _Task[_P], skips: Failures) -> None:
        for image in task.batch.one_by_one():
            self._alone(image, task.measure, skips)
