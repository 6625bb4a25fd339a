"""Take Ctrl-C where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupts_deferred", "raise_deferred_interrupt"]


class _Deferred:
    """Stands in for Python's handler of SIGINT, and remembers that it came."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.came:  # whoever presses twice does not want to wait
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until :func:`raise_deferred_interrupt`, or until the body ends.

    Python raises KeyboardInterrupt between any two instructions, also between a change and the
    line that would undo it. What the body sets up and takes down is therefore always whole. A
    second Ctrl-C does not wait. Only the main thread is ever interrupted: in others this does
    nothing, nor where the program handles SIGINT itself.
    """
    usual = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        yield
        return
    deferred = _Deferred()
    try:
        signal.signal(signal.SIGINT, deferred)
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if deferred.came:
            deferred.came = False
            raise KeyboardInterrupt


def raise_deferred_interrupt() -> None:
    """Raise KeyboardInterrupt if Ctrl-C is waiting; call it where nothing is half done."""
    if threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, _Deferred) and handler.came:
        handler.came = False
        raise KeyboardInterrupt
