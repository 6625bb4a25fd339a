"""Tours: steps inside the Explorer, each with one thing to do on the model that is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, SupportsIndex

from ..errors import ParameterError
from ..models.classes import class_index
from ..models.head_index import check_heads, head_pairs
from ..protocol.schema.selections import TourStep
from ..session import Session
from ..session.traits import OPTIONS, Selections
from ..support.words import shown

if TYPE_CHECKING:
    from ..models import VisionTransformer

__all__ = ["Step", "checked", "usual_tour"]


class StepSelections(Selections, total=False):
    """What a step selects: any of a session's selections, and the class."""

    target: SupportsIndex | str | None


@dataclass(frozen=True)
class Step:
    """One step of a tour: a sentence or two, one thing to do, and what can be seen then.

    In all texts these words are replaced by their values when the step is shown: ``{class}`` (what
    is explained), ``{now}`` and ``{before}`` (what the model says of it, without the pruned heads
    and with every head), ``{head}`` (the most important head), ``{drop}`` (by how much the class
    falls without it), ``{patches}`` (how many), ``{layers}``, ``{model}`` and ``{sinks}``.

    Parameters
    ----------
    text : str
    select : mapping, optional
        What is selected when the step begins, by names of the Explorer's options, e.g.
        ``{"selected_layer": 3, "overlay": "attention", "pruned_heads": {3: [0]}}``.
    panel : str, optional
        The panel that the step is about, one of ``PANELS``: it is opened and framed.
    do : str, optional
        One thing to do.
    waits_for : str or sequence of str, optional
        The options one of which changes when that is done, e.g. ``"pruned_heads"``.
    answer : str, optional
        Said once it is done.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> step = vaw.Step(
    ...     "Does it still say {class} without this head?",
    ...     select={"pruned_heads": {2: [0]}},
    ...     panel="decision",
    ...     answer="{class}: {now}, before {before}.",
    ... )
    """

    text: str
    select: StepSelections = field(default_factory=StepSelections)
    panel: str | None = None
    do: str = ""
    waits_for: str | Iterable[str] = ()
    answer: str = ""


def checked(session: Session, steps: Iterable[Step], panels: Iterable[str]) -> list[TourStep]:
    """Steps as they go to the browser.

    Raises
    ------
    ParameterError, TargetError
        If there is no step, or a step names a panel, an option, a class or a head that does not
        exist.
    """
    vit, panel_ids = session._context.vit, tuple(panels)
    payload = [_checked(vit, step, panel_ids) for step in steps]
    if not payload:
        raise ParameterError("A tour has no steps: give it at least one, e.g. vaw.Step('...').")
    return payload


def _checked(vit: VisionTransformer, step: Step, panels: tuple[str, ...]) -> TourStep:
    if not isinstance(step, Step):
        raise ParameterError(f"A tour was given {shown(step)}: a vaw.Step was expected.")
    if step.panel is not None and step.panel not in panels:
        raise ParameterError(
            f"A step is about the panel {shown(step.panel)}: choose from {', '.join(panels)}."
        )
    waits = (step.waits_for,) if isinstance(step.waits_for, str) else tuple(step.waits_for)
    for name in (*waits, *step.select):
        if name not in OPTIONS:
            raise ParameterError(
                f"A step names the option {shown(name)}: choose from {', '.join(OPTIONS)}."
            )
    select: dict[str, object] = dict(step.select)
    if select.get("target") is not None:
        select["target"] = class_index(select["target"], vit)
    if "pruned_heads" in step.select:
        select["pruned_heads"] = head_pairs(check_heads(vit, step.select["pruned_heads"]))
    return {
        "text": step.text,
        "do": step.do,
        "waits_for": list(waits),
        "answer": step.answer,
        "panel": step.panel or "",
        "select": select,
    }


def usual_tour(session: Session) -> list[Step]:
    """What there is to know of a Vision Transformer, on the one that is looked at."""
    context = session._context
    prefix, last = context.subject.tokens.prefix, context.vit.num_layers - 1
    gathers = "class" in prefix
    tokens = "Each becomes a token"
    tokens += (
        "; one more, the class token, gathers what the decision is made from."
        if gathers
        else ", and the decision is made from all of them together."
    )
    steps = [
        Step(
            f"This model cuts the picture into {{patches}} patches. {tokens}",
            select={"overlay": "attention", "selected_layer": last, "selected_head": -1},
            panel="picture",
            do="Click a patch.",
            waits_for="selected_token",
            answer="The picture now shows what this patch attends to: where it takes information "
            "from in the last layer.",
        ),
        Step(
            "Each layer has several heads, and every head attends in its own way. Layers go from "
            "left to right, heads from top to bottom.",
            select={"overlay": "attention", "selected_token": session._context.subject.first_token},
            panel="heads",
            do="Point at some heads, and click one of an early layer.",
            waits_for=("selected_layer", "selected_head"),
            answer="The picture keeps the head that you clicked. In many models early heads attend "
            "near by or everywhere, and late ones to parts of objects: is it so here?",
        ),
    ]
    if context.explains_class:
        steps += _of_a_class()
    steps.append(
        Step(
            "Some patches draw attention from everywhere, whatever is in them: many models park "
            "attention there, others have register tokens for it. A bright spot is not always what "
            "the model looks at.",
            select={"overlay": "attention", "selected_layer": last, "selected_head": -1},
            panel="heads",
            answer="Attention sinks in this picture: {sinks}.",
        )
    )
    return steps


def _of_a_class() -> list[Step]:
    return [
        Step(
            "Which heads matter? The bar below a head tells how far {class} falls when that head "
            "alone is removed: orange hurts, blue helps.",
            panel="heads",
            do="Click the head with the longest bar.",
            waits_for=("selected_layer", "selected_head"),
            answer="The most important one is {head}: without it {class} changes by {drop}.",
        ),
        Step(
            "What speaks for {class} is added up layer by layer. The number below a frame says how "
            "much of the map is there by then.",
            select={"overlay": "explanation"},
            panel="film",
            do="Point at the frames from left to right, and click one.",
            waits_for="selected_layer",
            answer="The large picture keeps the layer that you clicked.",
        ),
        Step(
            "Would it still say {class} without its most important head?",
            panel="heads",
            do="Press × on {head}, or choose it and press p.",
            waits_for="pruned_heads",
            answer="Before: {class} {before}. Now: {class} {now}. Undo puts the head back.",
        ),
        Step(
            "Methods that explain a decision disagree, so which map is to be trusted? Below the "
            "layers, “is this map faithful?” hides patches in the map's order and measures what "
            "becomes of {class}.",
            select={"pruned_heads": [], "overlay": "explanation"},
            panel="compare",
            do="Point at the maps, and click another method's.",
            waits_for="method",
            answer="All views now use this method. A map that does no better than the center of "
            "the picture says little.",
        ),
    ]
