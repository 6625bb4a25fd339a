"""Undo and redo of the pruned heads, shared by all widgets of a session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from traitlets import Bunch

from ..protocol.schema.selections import Head, PruningHistory
from .context import Context

__all__ = ["MOST_STEPS", "History", "no_history"]

MOST_STEPS = 100
"""Steps that are remembered; older ones can no longer be undone."""


class History:
    """Follows the pruned heads, whoever changes them.

    The trait ``_history`` holds the pruned heads with the steps that led to them. Whoever sets it,
    here or in the browser, sets the pruned heads too; whoever sets the pruned heads adds a step.

    Parameters
    ----------
    context : Context
        Its traits ``pruned_heads`` and ``_history`` are followed from now on.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        traits = context.traits
        traits._history = no_history(traits.pruned_heads)
        traits.observe(self._pruned, "pruned_heads")
        traits.observe(self._stepped, "_history")

    def undo(self) -> bool:
        """Take the last step back; whether there was one."""
        return self._move("undo", "redo")

    def redo(self) -> bool:
        """Do again what was undone last; whether there was anything."""
        return self._move("redo", "undo")

    def _move(self, source: Literal["undo", "redo"], target: Literal["undo", "redo"]) -> bool:
        with self._context.lock:
            history = self._context.traits._history
            if not history[source]:
                return False
            *rest, step = history[source]
            moved = history.copy()
            moved["pruned"] = _toggled(history["pruned"], step)
            moved[source], moved[target] = rest, [*history[target], step]
            self._context.traits._history = moved
            return True

    def _pruned(self, change: Bunch) -> None:
        traits = self._context.traits
        history, pruned = traits._history, change["new"]
        if pruned != history["pruned"]:
            step = _toggled(history["pruned"], pruned)
            undo = [*history["undo"], step][-MOST_STEPS:]
            traits._history = {"pruned": pruned, "undo": undo, "redo": []}

    def _stepped(self, change: Bunch) -> None:
        self._context.traits.pruned_heads = change["new"]["pruned"]


def no_history(pruned: Iterable[Head] = ()) -> PruningHistory:
    """Nothing to undo."""
    return {"pruned": list(pruned), "undo": [], "redo": []}


def _toggled(heads: Iterable[Head], step: Iterable[Head]) -> list[Head]:
    """The heads without those of the step that are among them, and with the others."""
    return sorted(set(heads) ^ set(step))
