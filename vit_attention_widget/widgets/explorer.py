"""All views of one model and one image, linked, in panels that can be arranged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import traitlets
from torch import nn
from traitlets import Bunch

from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.images import ImageLike
from ..protocol.schema.selections import TourStep
from ..support.words import shown
from ..targets.user_target import TargetLike
from .base import SessionWidget, WidgetOptions
from .tour import Step, checked, usual_tour

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
    tour : bool or sequence of Step
        Begin with a tour: the usual one, or steps of one's own; see :meth:`tour`.

    Attributes
    ----------
    panels : list of str
        As above; follows what is opened, closed and moved in the browser, and may be set.

    tour_step : int
        Step of the tour, from 0, that is shown; -1 is none.

    Raises
    ------
    ParameterError
        If a panel does not exist, or is named twice, or a step names what does not exist.
    """

    stem: ClassVar[str] = "explorer"
    own: ClassVar[tuple[str, ...]] = ("panels", "tour_step")

    # Not Any: it takes None without a check.
    panels = traitlets.TraitType[list[str], Sequence[str]](list(USUAL_PANELS)).tag(sync=True)

    tour_step = traitlets.TraitType[int, int](-1).tag(sync=True)

    _tour: traitlets.List[TourStep] = traitlets.List().tag(sync=True)
    """Steps of the tour, see ``protocol.schema.selections.TourStep``."""

    def __init__(
        self,
        model: nn.Module | VisionTransformer | None = None,
        image: ImageLike | None = None,
        target: TargetLike = None,
        *,
        panels: Sequence[str] = USUAL_PANELS,
        tour: bool | Sequence[Step] = False,
        **options: Unpack[WidgetOptions],
    ) -> None:
        panels = _panels(panels)  # before anything is computed
        super().__init__(model, image, target, **options)
        self.panels = panels
        self._tour = checked(self.session, usual_tour(self.session), PANELS)
        if tour:
            self.tour(None if tour is True else tour)

    def tour(self, steps: Sequence[Step] | None = None) -> None:
        """Begin a tour, which stands above the panels: read, do one thing, see the answer.

        Parameters
        ----------
        steps : sequence of Step, optional
            By default what there is to know of a Vision Transformer, on this model.

        Raises
        ------
        ParameterError, TargetError
            If a step names a panel, an option, a class or a head that does not exist.

        Examples
        --------
        >>> import vit_attention_widget as vaw
        >>> explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
        >>> explorer.tour([vaw.Step("Where does head 1 of layer 3 look?", panel="heads")])
        >>> explorer.close()
        """
        self._tour = checked(self.session, steps or usual_tour(self.session), PANELS)
        self.tour_step = 0

    @traitlets.validate("tour_step")
    def _check_step(self, proposal: Bunch) -> int:
        return self._step(proposal["value"])

    def _step(self, value: object) -> int:
        last = len(self._tour) - 1
        if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= last:
            raise ParameterError(
                f"tour_step is {shown(value)}: steps run from 0 to {last}, and -1 is none."
            )
        return value

    @traitlets.validate("panels")
    def _check_panels(self, proposal: Bunch) -> list[str]:
        return _panels(proposal["value"])

    def _take(self, name: str, sent: Mapping[str, object]) -> object:
        if name == "tour_step":
            return self._step(sent[name])
        return _panels(sent[name]) if name == "panels" else super()._take(name, sent)


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
