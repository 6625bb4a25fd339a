"""How a session works: in threads beside the user's, quietly, and saying how it stands."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..errors import VitAttentionError
from ..support.progress import Progress
from .lanes import Job, Lane
from .selections import Selection

__all__ = ["Work", "no_result"]


class Work(Selection):
    """Three threads for what selections ask for.

    The quick lane does what is waited for (traces, rows), the long one what takes time (maps,
    leaving heads out), the longest what a user asked for and may take minutes (curves). A result is
    taken only if nothing newer has replaced what it is about.
    """

    def _prepare_lanes(self) -> None:
        self._quiet = threading.local()
        self._lock = threading.RLock()
        self._error: dict[str, str] | None = None
        self._failed_slot = ""
        self._milliseconds: float | None = None
        self._look = 0  # grows with every new model or image
        self._quick = Lane("vaw-quick", self._report)
        self._long = Lane("vaw-long", self._report)
        self._longest = Lane("vaw-longest", self._report)
        self._lanes = (self._quick, self._long, self._longest)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Set selections in the body without doing what a user's choice would do."""
        self._quiet.depth = self._depth + 1
        try:
            yield
        finally:
            self._quiet.depth -= 1

    @property
    def _depth(self) -> int:
        depth: int = getattr(self._quiet, "depth", 0)
        return depth

    def _is_quiet(self) -> bool:
        return self._depth > 0  # in this thread: others still choose

    def _choosing(self) -> threading.RLock:
        return self._lock

    def _do(
        self,
        lane: Lane,
        slot: str,
        label: str,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
    ) -> None:
        started, look = time.perf_counter(), self._look

        def finish(result: Any) -> None:
            with self._lock:
                if look == self._look:  # else it is about another model or image
                    if slot in ("trace", self._failed_slot):  # another look, or it works now
                        self._error = None
                    self._milliseconds = (time.perf_counter() - started) * 1000
                    done(result)

        def failed(error: BaseException) -> None:
            with self._lock:
                if look == self._look:
                    self._failed(error, slot)

        lane.submit(Job(slot, label, work, finish, failed))

    def _failed(self, error: BaseException, slot: str = "") -> None:
        known = isinstance(error, VitAttentionError)
        details = "" if known else "".join(traceback.format_exception(error))
        hint = "" if known else "What was shown before is still there; the details say more."
        if isinstance(error, torch.OutOfMemoryError):
            hint = "The device ran out of memory: try a smaller image, or the CPU."
        self._failed_slot = slot
        self._error = {"message": str(error) or repr(error), "hint": hint, "details": details}
        self._report()

    def _report(self) -> None:
        jobs = [lane.running for lane in self._lanes]
        running = next((job for job in jobs if job is not None and job.label), None)
        self.status = {
            "state": "computing" if running else "error" if self._error else "idle",
            "label": running.label if running else "",
            "progress": running.fraction if running else None,
            "error": self._error,
            "milliseconds": self._milliseconds,
        }


def no_result(result: Any) -> None:
    """What a job does whose work shows its own results."""
    return
