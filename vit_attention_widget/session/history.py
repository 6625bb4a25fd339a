"""Undo and redo of pruning and of what is selected, shared by all widgets of a session."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

from traitlets import Bunch

from ..errors import ParameterError
from ..protocol.schema.selections import MOST_STEPS, Head, Step, StepHistory
from .context import Context

__all__ = ["History", "no_history", "without_selections"]


class History:
    """Follows the pruned heads, whoever changes them, and what is selected in a browser.

    The trait ``_history`` holds the pruned heads with the steps that were taken. Whoever sets it,
    here or in the browser, sets the pruned heads too; whoever sets the pruned heads adds a step.
    A selection becomes a step in the browser, where a person makes it: one that code makes is none.

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
            back: Step = step
            if isinstance(step, dict):
                back = {name: self._selected(name) for name in step}
            else:
                moved["pruned"] = _toggled(history["pruned"], step)
            moved[source], moved[target] = rest, [*history[target], back]
            self._context.traits._history = moved
            for name, value in step.items() if isinstance(step, dict) else ():
                with suppress(ParameterError):  # what the model, or its prompts, no longer have
                    self._context.traits.set_trait(name, value)
            return True

    def _selected(self, name: str) -> int | str | None:
        context = self._context
        if name == "target" and context.explained.follows_prediction:
            return None
        value: int | str | None = getattr(context.traits, name)
        return value

    def _pruned(self, change: Bunch) -> None:
        traits = self._context.traits
        history, pruned = traits._history, change["new"]
        if pruned != history["pruned"]:
            step: Step = _toggled(history["pruned"], pruned)
            undo = [*history["undo"], step][-MOST_STEPS:]
            traits._history = {"pruned": pruned, "undo": undo, "redo": []}

    def _stepped(self, change: Bunch) -> None:
        self._context.traits.pruned_heads = change["new"]["pruned"]


def no_history(pruned: Iterable[Head] = ()) -> StepHistory:
    """Nothing to undo."""
    return {"pruned": list(pruned), "undo": [], "redo": []}


def without_selections(history: StepHistory) -> StepHistory:
    """The steps of pruning alone: another picture has other classes and patches to select."""

    def pruning(steps: list[Step]) -> list[Step]:
        return [step for step in steps if isinstance(step, list)]

    undo, redo = pruning(history["undo"]), pruning(history["redo"])
    return {"pruned": history["pruned"], "undo": undo, "redo": redo}


def _toggled(heads: Iterable[Head], step: Iterable[Head]) -> list[Head]:
    """The heads without those of the step that are among them, and with the others."""
    return sorted(set(heads) ^ set(step))
