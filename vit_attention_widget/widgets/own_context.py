"""What threads send on a widget's behalf goes where the widget was made.

Servers with many visitors (Shiny, Solara) know by a context variable whose page a message is for,
and a thread of a session has none.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence

import anywidget

from ..session.lanes import in_lane

__all__ = ["InOwnContext"]


class InOwnContext(anywidget.AnyWidget):
    """A widget whose session may send from its threads, in any host."""

    _context: contextvars.Context

    def open(self) -> None:
        """Open a comm to the browser, and keep the context in which that was done."""
        self._context = contextvars.copy_context()
        super().open()

    def _send(self, msg: Mapping[str, object], buffers: Sequence[bytes] | None = None) -> None:
        send = super()._send
        if in_lane():  # a copy, as two threads may not be in one context at a time
            self._context.copy().run(send, msg, buffers)
        else:
            send(msg, buffers)
