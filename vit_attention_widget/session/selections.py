"""What can be selected: ordinary observable traits, each checked against the model."""

from __future__ import annotations

from typing import Any, SupportsIndex, get_args

import traitlets
from traitlets import Bunch, TraitType

from ..errors import ParameterError
from ..explainers import LONG_METHODS, METHODS
from ..importance.metrics import METRICS, OLD_METRICS
from ..models.classes import class_index
from ..models.head_index import HeadsLike, check_heads, head_pairs, layer_index, whole_number
from ..protocol.schema.selections import (
    UNDONE,
    Colormap,
    Direction,
    Head,
    Interpolation,
    Overlay,
    Scale,
    Step,
    StepHistory,
)
from ..support.deprecation import renamed_choice
from ..support.words import shown
from .context import Context
from .traits import SessionTraits

__all__ = ["COLORMAPS", "DIRECTIONS", "IMAGE_METRICS", "CheckedSelections"]

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
COLORMAPS: tuple[Colormap, ...] = get_args(Colormap)
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
_OLD_DIRECTIONS: dict[str, str] = {"looks_at": "attends_to", "looked_at_by": "attended_by"}
SCALES: tuple[Scale, ...] = get_args(Scale)
OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)

_OLD_CHOICES = {"metric": OLD_METRICS, "direction": _OLD_DIRECTIONS}

IMAGE_METRICS = tuple(metric for metric in METRICS if metric != "accuracy")
"""Accuracy needs many images."""


class _Target(TraitType[int | None, SupportsIndex | str | None]):
    """A class; choosing the one that is predicted anyway is a choice too."""

    def set(self, obj: traitlets.HasTraits, value: SupportsIndex | str | None) -> None:
        assert isinstance(obj, CheckedSelections)
        with obj._context.lock:
            super().set(obj, value)
            obj._chose_target(value)


class CheckedSelections(SessionTraits):
    """The traits of a session, with each selection checked against the model."""

    target = _Target(None, allow_none=True)

    _context: Context

    def _chose_target(self, value: SupportsIndex | str | None) -> None:
        """Called whenever a target is set, also to what it was."""

    @traitlets.validate("target")
    def _check_target(self, proposal: Bunch) -> int | None:
        value = proposal["value"]
        if value is None:
            return None
        return class_index(value, self._context.vit)

    @traitlets.validate("selected_layer")
    def _check_layer(self, proposal: Bunch) -> int:
        return layer_index(self._context.vit, proposal["value"])

    @traitlets.validate("selected_head")
    def _check_head(self, proposal: Bunch) -> int:
        return _whole("head", proposal["value"], -1, max(self._context.vit.num_heads) - 1)

    @traitlets.validate("selected_token")
    def _check_token(self, proposal: Bunch) -> int:
        return _whole("token", proposal["value"], 0, self._context.subject.tokens.num_tokens - 1)

    @traitlets.validate("selected_image")
    def _check_image(self, proposal: Bunch) -> int:
        value = proposal["value"]
        images = self._context.openable
        if images is None and value != -1:
            raise ParameterError(
                f"There is no image {shown(value)} without a set of images: give the session "
                "image_set=[...], or look at an image by session.image = ..."
            )
        return _whole("image", value, -1, (0 if images is None else len(images)) - 1)

    @traitlets.validate("pruned_heads")
    def _check_pruned(self, proposal: Bunch) -> list[tuple[int, int]]:
        return head_pairs(check_heads(self._context.vit, proposal["value"]))

    @traitlets.validate("_history")
    def _check_history(self, proposal: Bunch) -> StepHistory:
        vit, value = self._context.vit, proposal["value"]

        def heads(given: HeadsLike) -> list[Head]:
            return head_pairs(check_heads(vit, given))

        def step(taken: Any) -> Step:
            if isinstance(taken, dict) and taken and set(taken) <= set(UNDONE):
                return taken
            return heads(taken)

        form = {name: type(part) for name, part in value.items()} if type(value) is dict else None
        if form != {"pruned": list, "undo": list, "redo": list}:
            raise ParameterError(
                f"_history is {shown(value)}: pruned heads, and steps to undo and redo, were "
                "expected."
            )
        undo, redo = ([step(taken) for taken in value[name]] for name in ("undo", "redo"))
        return {"pruned": heads(value["pruned"]), "undo": undo, "redo": redo}

    @traitlets.validate(
        "direction", "method", "metric", "colormap", "interpolation", "scale", "overlay"
    )
    def _check_choice(self, proposal: Bunch) -> str:
        name = proposal["trait"].name
        choices = {
            "direction": DIRECTIONS,
            "method": (*METHODS, *LONG_METHODS),
            "metric": IMAGE_METRICS,
            "colormap": COLORMAPS,
            "interpolation": INTERPOLATIONS,
            "scale": SCALES,
            "overlay": OVERLAYS,
        }[name]
        value = proposal["value"]
        if name in _OLD_CHOICES:
            value = renamed_choice(name, value, _OLD_CHOICES[name])
        if not isinstance(value, str) or value not in choices:
            raise ParameterError(f"{name} is {shown(value)}: choose one of {', '.join(choices)}.")
        return str(value)

    @traitlets.validate("opacity")
    def _check_opacity(self, proposal: Bunch) -> float:
        value = proposal["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ParameterError(f"opacity is {shown(value)}: a number from 0 to 1 was expected.")
        return float(value)


def _whole(what: str, value: object, low: int, high: int) -> int:
    index = whole_number(value)
    if index is None or not low <= index <= high:
        raise ParameterError(f"There is no {what} {shown(value)}: they run from {low} to {high}.")
    return index
