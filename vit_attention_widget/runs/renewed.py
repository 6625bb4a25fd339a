"""An executor that is another of the same kind once its processes have ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any, TypeVar

__all__ = ["RenewedPool", "pool_like"]

_R = TypeVar("_R")


class RenewedPool:
    """What tasks are given to: the user's executor, or one like it where that is broken.

    A pool of processes of which one ends takes no more tasks, and those that it had are lost.
    """

    def __init__(self, executor: Executor) -> None:
        self._given = self._now = executor

    @property
    def begun(self) -> int | None:
        """How many of the tasks that are lost with it may have been begun, if that is known."""
        workers = getattr(self._given, "_max_workers", None)
        return None if workers is None else int(workers) + 1  # one is handed out ahead

    def submit(self, function: Callable[..., _R], *args: object) -> Future[_R]:
        """Give it a task; where it is broken, that is what becomes of the task."""
        try:
            return self._now.submit(function, *args)
        except BrokenExecutor as error:
            refused: Future[_R] = Future()
            refused.set_exception(error)
            return refused

    def renew(self) -> bool:
        """Go on with a new one; whether there is one."""
        new = pool_like(self._given)
        if new is None:
            return False
        self.close()
        self._now = new
        return True

    def close(self, *, wait: bool = False) -> None:
        """End the processes of a new one; the user's are the user's."""
        if self._now is not self._given:
            self._now.shutdown(wait=wait, cancel_futures=True)


def pool_like(executor: Executor) -> Executor | None:
    """A new pool of processes with what this one was made with; None where that is not known."""
    if type(executor) is not ProcessPoolExecutor:  # of others' kinds one cannot know
        return None
    names = "max_workers", "mp_context", "initializer", "initargs"
    made_with: dict[str, Any] = {
        name: getattr(executor, f"_{name}") for name in names if hasattr(executor, f"_{name}")
    }
    if len(made_with) < len(names):
        return None
    tasks = getattr(executor, "_max_tasks_per_child", None)  # Python 3.11
    return ProcessPoolExecutor(
        **made_with, **({} if tasks is None else {"max_tasks_per_child": tasks})
    )
