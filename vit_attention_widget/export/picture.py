"""A picture of what a widget shows, for places where no widget can be. Drawn by matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..results.optional import optional
from ..session import Session
from ..session.payloads import METHOD_HINTS
from .picture_parts import (
    attention_of_token,
    decision,
    explanation,
    importance,
    over_picture,
    said,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["has_picture", "picture_of"]

_SIDE = 2.9
"""Inches of a part's side."""

_MOST = 12
"""So many maps at the most stand beside each other."""

_Part: TypeAlias = "Callable[[Session, Axes], None]"


def has_picture(session: Session) -> bool:
    """Whether what a picture shows was computed."""
    return bool(session._picture and session._maps and session.decision)


def picture_of(session: Session, stem: str) -> bytes:
    """A PNG of what the widget of this kind shows of a session, as it stands now.

    Raises
    ------
    ParameterError
        If matplotlib is not installed.
    """
    optional("matplotlib", "the picture of a widget")
    figure = _DRAWN.get(stem, _overview)(session)
    for text in figure.findobj(optional("matplotlib.text", "the picture of a widget").Text):
        text.set_parse_math(False)  # what classes and models are called is no formula
        text.set_usetex(False)
    # Names in letters that the font lacks are boxes, which is no fault of the user's cell.
    warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning, __name__.replace(".", r"\."))
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor=figure.get_facecolor())  # the user's style's
    return file.getvalue()


# Kinds of pictures --------------------------------------------------------------------------------


def _figure(rows: int, cols: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of its own, which no window and no cell shows."""
    figure = optional("matplotlib.figure", "the picture of a widget").Figure(
        figsize=(width, height), dpi=100, layout="constrained"
    )
    return figure, list(figure.subplots(rows, cols, squeeze=False).flat)


def _beside(session: Session, *parts: _Part) -> Figure:
    info = session._model_info
    figure, axes = _figure(1, len(parts), (_SIDE + 0.4) * len(parts), _SIDE + 0.6)
    for draw, ax in zip(parts, axes, strict=True):
        ax.tick_params(labelsize=8)
        draw(session, ax)
    figure.suptitle(f"{info['name']}, {info['image_name']}", fontsize=9, x=0.01, ha="left")
    return figure


def _overview(session: Session) -> Figure:
    return _beside(session, explanation, decision, importance)


def _heads(session: Session) -> Figure:
    return _beside(session, importance, decision)


def _attention(session: Session) -> Figure:
    return _beside(session, attention_of_token, explanation)


def _layers(session: Session) -> Figure:
    maps = session.attributions.get(session.method)
    if maps is None:
        return _overview(session)
    shown = np.unique(np.linspace(0, len(maps) - 1, min(_MOST, len(maps))).round().astype(int))
    titles = [f"layer {layer}" for layer in shown]
    return _multiples(session, maps[shown], titles, said(session), float(maps.max()))


def _compared(session: Session) -> Figure:
    compared = session.studies.comparison.compared
    if compared is None or compared.set_key is not None:
        return _overview(session)
    maps = compared.comparison.values.numpy()
    titles = [METHOD_HINTS[name][0] if name in METHOD_HINTS else name for name in compared.names]
    target = session.decision.get("target_name", "")
    return _multiples(session, maps[:_MOST], titles[:_MOST], target, None)


def _strength(session: Session) -> Figure:
    strength = session.studies.strength.strength
    if strength is None:
        return _overview(session)

    def entropy(_: Session, ax: Axes) -> None:
        strength.plot(ax)

    def distance(_: Session, ax: Axes) -> None:
        strength.plot(ax, quantity="distance")

    return _beside(session, entropy, distance)


def _patterns(session: Session) -> Figure:
    patterns = session.patterns
    if patterns is None:
        return _overview(session)

    def points(_: Session, ax: Axes) -> None:
        patterns.plot(ax)

    return _beside(session, points, explanation)


def _multiples(
    session: Session, maps: NDArray[np.float32], titles: list[str], title: str, most: float | None
) -> Figure:
    """Maps over the picture, on one scale or each on its own."""
    cols = min(6, len(maps))
    rows = -(-len(maps) // cols)
    figure, axes = _figure(rows, cols, 1.6 * cols, 1.8 * rows + 0.4)
    for ax in axes:
        ax.axis("off")
    for ax, grid, title in zip(axes, maps, titles, strict=False):
        over_picture(session, ax, grid, float(grid.max()) if most is None else most)
        ax.set_title(title, fontsize=8)
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


_DRAWN: Mapping[str, Callable[[Session], Figure]] = {
    "head_grid": _heads,
    "attention_inspector": _attention,
    "daam_scrubber": _layers,
    "compare_view": _compared,
    "head_strength": _strength,
    "attention_pattern_map": _patterns,
}
