"""Updates that are numbered, so that a browser notices those that never came.

Not every host delivers what is sent: what comes between the making of a page and its connection is
lost in Panel, and Shiny keeps back what threads send until the browser says something.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import traitlets

from .own_context import InOwnContext

__all__ = ["NumberedUpdates"]


class NumberedUpdates(InOwnContext):
    """A widget each of whose updates has the next number, as one more trait in it."""

    _update = traitlets.Int(0).tag(sync=True)

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._numbering = threading.Lock()
        super().__init__(*args, **kwargs)

    def _send(self, msg: Mapping[str, object], buffers: Sequence[bytes] | None = None) -> None:
        state = msg.get("state")
        if msg.get("method") == "update" and isinstance(state, dict):
            with self._numbering:
                number = self._trait_values["_update"] = self._update + 1  # sends nothing itself
            msg = {**msg, "state": {**state, "_update": number}}
        super()._send(msg, buffers)
