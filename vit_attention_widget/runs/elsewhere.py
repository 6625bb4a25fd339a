"""Parts of a run that an executor computes: in other threads, processes, or on other machines."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import TypeVar

from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..results.files import replaced
from ..support.progress import Progress, no_progress
from .kept import Kept, Measure, Part

__all__ = ["computed"]

_AHEAD = 32
"""At most so many batches are with the executor, or wait for one before them."""

_loaded: dict[str, VisionTransformer] = {}
"""The model of a worker, by the name of its file, which is made of a digest."""

_P = TypeVar("_P", bound=Part)
_R = TypeVar("_R")


def computed(
    executor: Executor,
    vit: VisionTransformer,
    measure: Measure[_P],
    todo: Iterator[Batch | None],
    kept: Kept[_P, _R],
    report: Progress,
    total: int | None,
) -> Iterator[None]:
    """Measure batches elsewhere and keep their parts in order; yields after each.

    An error is that of the first batch that has one; what is done of those after it is kept.
    """
    pending: deque[tuple[Batch, Future[list[_P]]]] = deque()

    def take() -> None:
        batch, future = pending[0]
        _keep(batch, _result(future, pending), kept)
        pending.popleft()
        done = batch.first + len(batch)
        report(min(1.0, done / total) if total else 0.0, f"computed {done} images")

    with tempfile.TemporaryDirectory() as temporary:
        model = _Model(vit, kept.folder or Path(temporary))
        try:
            for batch in todo:
                if batch is not None:
                    alone = measure.alone(batch) if hasattr(measure, "alone") else measure
                    pending.append((batch, executor.submit(_work, model, alone, batch)))
                    if len(pending) < _AHEAD:
                        continue
                    take()
                if batch is not None or not pending:  # else there may be no first part yet
                    yield
            while pending:
                take()
                yield
        except BaseException:
            for batch, future in pending:
                if not future.cancel() and future.done() and future.exception() is None:
                    _keep(batch, future.result(), kept)
            raise
        finally:
            for _, future in pending:
                future.cancel()
            model.remove()


def _keep(batch: Batch, parts: list[_P], kept: Kept[_P, _R]) -> None:
    done = 0
    for part in parts:
        kept.put(batch.first + done, part, batch.images[done:])
        done += len(part)


def _result(future: Future[list[_P]], pending: deque[tuple[Batch, Future[list[_P]]]]) -> list[_P]:
    try:
        return future.result()
    except Exception as error:
        broken = isinstance(error, BrokenExecutor)  # all that it had
        if not broken and type(error).__name__ != "KilledWorker":  # Dask's: this batch, each time
            raise
        ended = pending[-1 if broken else 0][0]
        raise RuntimeError(
            f"Workers ended while images {pending[0][0].first} to {ended.first + len(ended) - 1} "
            f"were computed ({type(error).__name__}: {error})."
        ) from error


def _work(model: _Model, measure: Measure[_P], batch: Batch) -> list[_P]:
    """What a worker does: the complete parts of a batch, in order."""
    return [part for part in measure(model.vit, no_progress, batch, None) if part.complete]


def _name_of(data: bytes) -> str:
    return f"model-{hashlib.blake2b(data, digest_size=16).hexdigest()}.pickle"


class _Model:
    """A model that is sent as the path of a file, which a process reads once."""

    def __init__(self, vit: VisionTransformer, folder: Path) -> None:
        self.vit, self._folder = vit, folder
        self._file: Path | None = None

    def remove(self) -> None:
        """Take the file away."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def __getstate__(self) -> str:
        if self._file is None:
            try:
                data = pickle.dumps(self.vit)
            except Exception as error:
                raise ParameterError(
                    f"{self.vit.name} cannot be sent to other processes ({error}): define its "
                    "classes in a module, or give an executor of threads."
                ) from error
            self._file = (self._folder / _name_of(data)).resolve()
            with replaced(self._file) as file:
                file.write_bytes(data)
        return str(self._file)

    def __setstate__(self, state: str) -> None:
        name = Path(state).name
        if name not in _loaded:
            try:
                data = Path(state).read_bytes()
            except OSError as error:
                raise ParameterError(
                    f"A worker cannot read the model from {state} ({error}): give store=, a folder "
                    "that all workers see."
                ) from error
            if _name_of(data) != name:  # others may write there, and a pickle is code
                raise ParameterError(f"{state} is not the model that was sent.")
            _loaded.clear()
            _loaded[name] = pickle.loads(data)
        self.vit, self._file = _loaded[name], Path(state)  # an engine may send it on
