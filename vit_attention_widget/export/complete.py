"""All that a session knows, once what views would ask for is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from ..errors import ParameterError
from ..session import Session
from ..support.progress import Progress, no_progress
from .session_values import SessionValues, values_of

__all__ = ["SAYS", "Exportable", "held_by"]

SAYS = "saving the page"
"""What progress says."""

_TRIES = 5


class Exportable(Protocol):
    """A widget that can stand in a page."""

    stem: ClassVar[str]

    @property
    def session(self) -> Session:
        """What it shows."""

    def own_values(self) -> Mapping[str, object]:
        """Traits that it shares with no other widget."""


def held_by(
    session: Session,
    widgets: Sequence[Exportable],
    classes: Sequence[int | str],
    attention: bool,
    progress: Progress = no_progress,
) -> SessionValues:
    """All that a session knows, and that belongs together: a click may come meanwhile."""

    def looked_at() -> object:
        return session._version, session.target, session.pruned_heads

    for _ in range(_TRIES):
        _complete(session, widgets)
        progress(0.3, SAYS)
        before = looked_at()
        held = values_of(session, classes, attention)
        if looked_at() == before:
            return held
    raise ParameterError("The session keeps changing: export it once nothing more is chosen.")


def _complete(session: Session, widgets: Sequence[Exportable]) -> None:
    """Compute what views would ask for as soon as they are opened."""
    stems = {widget.stem for widget in widgets}
    panels = {panel for widget in widgets for panel in _panels(widget)}
    session.wait()
    if session.trace is None:
        error = session.status.get("error")
        raise ParameterError(
            "There is nothing to export: "
            + (error["message"] if error else "nothing was computed.")
        )
    if stems & {"explorer", "head_strength"} and not session._strength_data:
        session.measure_strength()
    if "explorer" in stems and not session._layer_decisions:
        session.read_out_layers()
    if "images" in panels and session._model_info["set_size"]:
        session.show_images()
    if session.patterns is not None and not session._patterns_here:
        session.place_heads()
    session.wait()


def _panels(widget: Exportable) -> Sequence[str]:
    panels = widget.own_values().get("panels")
    return panels if isinstance(panels, list) else []
