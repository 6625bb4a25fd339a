"""All views of one model and one image, linked, in panels that can be arranged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import traitlets
from torch import nn
from traitlets import Bunch

from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.images import ImageLike
from ..support.words import shown
from ..targets.user_target import TargetLike
from .base import SessionWidget, WidgetOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


__all__ = ["PANELS", "USUAL_PANELS", "Explorer"]

PANELS = (
    "picture",
    "decision",
    "heads",
    "changes",
    "film",
    "by_layer",
    "detail",
    "strength",
    "images",
    "patterns",
    "compare",
)
"""Every panel; ``js/src/views/explorer/panels.tsx`` says what each one is."""

USUAL_PANELS = ("picture", "decision", "heads", "film")
"""The panels that are open unless others are asked for."""


class Explorer(SessionWidget):
    """All views of one model and one image, linked, in panels that can be arranged.

    Parameters, traits and errors are those of :class:`~.base.SessionWidget`, and:

    Parameters
    ----------
    panels : sequence of str
        The panels that are open, in order: "picture", "decision", "heads", "changes" (what pruning
        did to the importance of the other heads), "film", "by_layer" (what the model would decide
        after each layer), "detail" (one head in full), "strength" (how far heads look), "images"
        (all images of the set), "patterns" (what patterns the heads have learned) and "compare"
        (maps beside each other). All but the first two are wide; those before the first wide one
        stand in a narrow column beside it.

    Attributes
    ----------
    panels : list of str
        As above; follows what is opened, closed and moved in the browser, and may be set.

    Raises
    ------
    ParameterError
        If a panel does not exist, or is named twice.
    """

    stem: ClassVar[str] = "explorer"
    own: ClassVar[tuple[str, ...]] = ("panels",)

    # Not Any: it takes None without a check.
    panels = traitlets.TraitType[list[str], Sequence[str]](list(USUAL_PANELS)).tag(sync=True)

    def __init__(
        self,
        model: nn.Module | VisionTransformer | None = None,
        image: ImageLike | None = None,
        target: TargetLike = None,
        *,
        panels: Sequence[str] = USUAL_PANELS,
        **options: Unpack[WidgetOptions],
    ) -> None:
        panels = _panels(panels)  # before anything is computed
        super().__init__(model, image, target, **options)
        self.panels = panels

    @traitlets.validate("panels")
    def _check_panels(self, proposal: Bunch) -> list[str]:
        return _panels(proposal["value"])

    def _take(self, name: str, value: object) -> object:
        return _panels(value) if name == "panels" else super()._take(name, value)


def _panels(value: object) -> list[str]:
    """Panels as a new list; raises where one does not exist, or stands there twice."""
    if not isinstance(value, list | tuple):
        raise ParameterError(
            f"panels is {shown(value)}: a list was expected, e.g. ['picture', 'heads']."
        )
    for panel in value:
        if not isinstance(panel, str) or panel not in PANELS:
            raise ParameterError(
                f"There is no panel {shown(panel)}: choose from {', '.join(PANELS)}."
            )
        if value.count(panel) > 1:
            raise ParameterError(f"panels names {panel!r} twice: each can be open once.")
    return list(value)
