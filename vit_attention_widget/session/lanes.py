"""Work off the main thread: named slots in which the latest request wins.

A job is a function of a progress callback. Calling the callback is where a job can be cancelled:
it raises :class:`~vit_attention_widget.errors.JobCancelled` there. Every submitted job ends in
exactly one of ``on_done``, ``on_error`` and ``on_cancelled``. What these raise is logged: there is
nobody to raise it to, and the lane must live on.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import Any, ParamSpec

from ..errors import JobCancelled
from ..support.pace import Pace, in_time
from ..support.progress import Progress

__all__ = ["Job", "JobPaused", "Lane", "Lanes", "in_lane"]

log = logging.getLogger(__name__)

_EVERY = 0.1
"""Progress is passed on at most this often, in seconds."""

_EXIT_TIMEOUT = 60.0
"""How long a process that ends waits for what its lanes are computing, in seconds."""

_P = ParamSpec("_P")

_here = threading.local()
_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


def in_lane() -> bool:
    """Whether this thread is a lane's own."""
    return getattr(_here, "lane", None) is not None


def _nothing(*_: object) -> None:
    return None


class JobPaused(JobCancelled):
    """Raised inside a job that the user stopped, and that may go on."""


@dataclass(eq=False)
class Job:
    """One piece of work and what to do when it ends."""

    slot: str
    label: str
    work: Callable[[Progress], object]
    on_done: Callable[[Any], None] = _nothing  # takes what work returns
    on_error: Callable[[BaseException], None] = _nothing
    on_cancelled: Callable[[], None] = _nothing
    fraction: float | None = None
    seconds_left: float | None = None
    pace: Pace = field(default_factory=Pace)
    is_paused: bool = False
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Ask the job to stop at its next sign of progress."""
        self.is_paused = False
        self._cancelled.set()

    def pause(self) -> None:
        """Ask the job to stop where it can go on; what was paused already stays so."""
        self.is_paused = self.is_paused or not self.is_cancelled
        self._cancelled.set()

    @property
    def said(self) -> str:
        """What is being done, and how long the rest takes: ``"..., 12 s left"``."""
        return self.label + in_time(self.seconds_left)

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise :class:`JobCancelled` if the job was asked to stop."""
        if self.is_cancelled:
            kind = JobPaused if self.is_paused else JobCancelled
            raise kind(f"{self.label}: cancelled.")


def _call(callback: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
    """Call back; log what that raises."""
    try:
        callback(*args, **kwargs)
    except Exception:
        log.exception("An error in what was called when a job started, went on or ended")


def _weakly(listener: Callable[[], None]) -> Callable[[], Callable[[], None] | None]:
    """A way to a listener that does not keep alive the object whose method it is."""
    if isinstance(listener, MethodType):
        return weakref.WeakMethod(listener)
    return lambda: listener


class Lane:
    """A worker thread that runs one job at a time, in the order in which slots were filled.

    Parameters
    ----------
    name : str
        Name of the thread.
    on_change : callable, optional
        Called, in the worker's thread, when a job starts, progresses or ends.
    """

    def __init__(self, name: str, on_change: Callable[[], None] = _nothing) -> None:
        self._name = name
        self._listener = _weakly(on_change)
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._running: Job | None = None
        self._condition = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        _lanes.add(self)

    @property
    def running(self) -> Job | None:
        """The job that is running now."""
        return self._running

    def submit(self, job: Job) -> None:
        """Queue a job; it takes the place of one that waits or runs in the same slot."""
        with self._condition:
            replaced = self._waiting.pop(job.slot, None)
            if self._running is not None and self._running.slot == job.slot:
                self._running.cancel()
            refused = self._closed
            if not refused:
                self._waiting[job.slot] = job
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()
                self._condition.notify_all()
        for job_ in (replaced, job if refused else None):
            if job_ is not None:
                _call(job_.on_cancelled)

    def cancel(self, slot: str | None = None, *, but: Sequence[str] = ()) -> None:
        """Cancel the jobs of a slot, or all of them, but not those of some."""
        self._stop(lambda job: slot in (None, job.slot) and job.slot not in but, Job.cancel)

    def pause(self, slot: str | None = None) -> None:
        """Stop the jobs of a slot, or all of them, where they can go on."""
        self._stop(lambda job: slot in (None, job.slot), Job.pause)

    def _stop(self, chosen: Callable[[Job], bool], stop: Callable[[Job], None]) -> None:
        with self._condition:
            dropped = [job for job in self._waiting.values() if chosen(job)]
            for job in dropped:
                del self._waiting[job.slot]
                stop(job)
            if self._running is not None and chosen(self._running):
                stop(self._running)
        for job in dropped:
            _call(job.on_cancelled)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing waits or runs; False if that took longer than ``timeout`` seconds.

        False at once from a job of this lane, which would wait for itself.
        """
        if getattr(_here, "lane", None) is self:
            return False
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._waiting and not self._running, timeout
            )

    def close(self) -> None:
        """Cancel everything and let the thread end; later jobs are cancelled at once."""
        with self._condition:
            self._closed = True
            self._listener = lambda: _nothing
            self._condition.notify_all()
        self.cancel()

    def join(self, timeout: float) -> None:
        """Wait for the thread of a closed lane to end, at most ``timeout`` seconds."""
        if self._thread is not None and not in_lane():
            self._thread.join(timeout)

    def _run(self) -> None:
        _here.lane = self
        while True:
            with self._condition:
                self._running = None
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                _, job = self._waiting.popitem(last=False)
                self._running = job
            self._on_change()
            self._finish(job)
            with self._condition:
                self._running = None
            del job  # a waiting thread must not keep alive what the job held
            self._on_change()

    def _on_change(self) -> None:
        _call(self._listener() or _nothing)

    def _finish(self, job: Job) -> None:
        last = 0.0

        def progress(fraction: float, label: str) -> None:
            nonlocal last
            job.check()
            job.fraction, job.label, job.seconds_left = fraction, label, job.pace.at(fraction)
            now = time.monotonic()
            if now - last > _EVERY:
                last = now
                self._on_change()

        try:
            job.check()
            result = job.work(progress)
            job.check()
        except JobCancelled:
            _call(job.on_cancelled)
        except BaseException as error:  # a lost answer would leave the browser waiting
            if job.is_cancelled:  # what it worked on may be gone
                _call(job.on_cancelled)
            else:
                _call(job.on_error, error)
        else:
            try:
                job.on_done(result)
            except Exception as error:  # the lane must live on
                _call(job.on_error, error)


class Lanes:
    """Five lanes, so that what is waited for never waits for what takes long.

    ``quick`` does what is waited for (traces, rows), ``long`` what takes time (maps, ablating
    heads), ``longest`` what was asked for and may take minutes (curves, sets, scores). ``reading``
    reads what others compute (a store that fills), and runs no model. ``pages`` writes down what
    the other lanes compute, and may wait for them.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.quick = Lane("vaw-quick", on_change)
        self.long = Lane("vaw-long", on_change)
        self.longest = Lane("vaw-longest", on_change)
        self.reading = Lane("vaw-reading", on_change)
        self.pages = Lane("vaw-pages", on_change)

    def __iter__(self) -> Iterator[Lane]:
        return iter((self.quick, self.long, self.longest, self.reading, self.pages))

    def cancel(self, *, but: Sequence[str] = ()) -> None:
        """Cancel all work, except in some slots; a page is of what is computed next."""
        for lane in self:
            if lane is not self.pages:
                lane.cancel(but=but)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing waits or runs; False after ``timeout`` seconds.

        False at once from a job, which would wait for itself; one that writes a page waits for the
        other lanes.
        """
        here: Lane | None = getattr(_here, "lane", None)
        if here not in (None, self.pages):
            return False
        until = None if timeout is None else time.monotonic() + timeout
        awaited = [lane for lane in self if lane is not here]
        while True:  # work in one lane may lead to work in another
            for lane in awaited:
                left = None if until is None else max(0.0, until - time.monotonic())
                if not lane.wait(left):
                    return False
            if all(lane.wait(0) for lane in awaited):
                return True

    def close(self, timeout: float = 0.0) -> None:
        """Cancel all work, and wait at most ``timeout`` seconds for the threads to end."""
        _close(self, timeout)


def _close(lanes: Iterable[Lane], timeout: float) -> None:
    until = time.monotonic() + timeout
    for lane in lanes:
        lane.close()
    for lane in lanes:
        lane.join(max(0.0, until - time.monotonic()))


@atexit.register
def _close_all() -> None:
    """Let threads end before the interpreter does: PyTorch aborts a process whose thread is cut."""
    _close(list(_lanes), _EXIT_TIMEOUT)
