"""Prune heads until a budget is reached, and say what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import nn

from ...data.items import ImagesLike
from ...data.labels import LabelsLike, with_names_of
from ...errors import ParameterError
from ...importance.result import HeadImportance
from ...models import VisionTransformer, describe
from ...models.head_index import HeadsLike, check_pairs
from ...results.unfinished import warn_if_stopped
from ...support.progress import ProgressLike, reporting
from ...support.steps import last_of
from ..curve.order import Order, needs_importance
from .cost import Race
from .goal import goal_of
from .limit import Limit
from .recovery import FineTuning, Recovery
from .result import BudgetPruning
from .sets import read_sets
from .store import Store
from .task import Task

__all__ = ["prune_to", "prune_to_steps"]

Head = tuple[int, int]


def prune_to_steps(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    labels: LabelsLike | None = None,
    *,
    keep_accuracy: float | None = None,
    heads: int | None = None,
    latency: float | None = None,
    order: Order | HeadImportance | HeadsLike = "taylor",
    held_out: ImagesLike | float = 0.3,
    finetune: bool | FineTuning | Recovery | None = None,
    training: ImagesLike | float = 0.5,
    heads_per_round: int | None = None,
    seed: int = 0,
    start: BudgetPruning | None = None,
    store: str | Path | None = None,
    progress: ProgressLike = None,
) -> Iterator[BudgetPruning]:
    """:func:`prune_to`, step by step: yields what is known so far; the last is the result."""
    vit = with_names_of(images, describe(model))
    if vit.output in ("value", "features"):
        raise ParameterError(
            f"{vit.name} returns {vit.output}, which is neither right nor wrong: a budget needs an "
            "accuracy. Take pruning_curve and prune_heads."
        )
    goal = goal_of(vit, keep_accuracy, heads, latency)
    needs_importance(order)  # raises if there is no such order
    learn = FineTuning() if finetune is True else finetune or None
    if learn is not None and not callable(learn) and not isinstance(learn, FineTuning):
        raise ParameterError(
            f"finetune is {learn!r}: give True, FineTuning(epochs=...), or a function of (model, "
            "images)."
        )
    if heads_per_round is not None and heads_per_round < 1:
        raise ParameterError(f"heads_per_round is {heads_per_round}: at least 1 must go.")
    with reporting(progress) as report:
        share = None if learn is None else training
        sets = read_sets(vit, images, labels, held_out, share, seed)
        limit = Limit(goal, vit, lambda: Race(vit, sets.held_out, vit.device.type))
        task = Task(vit, sets, limit, _listed(vit, order), learn, heads_per_round, seed, report)
        folder = Store(store, task.about) if store is not None else None
        start = _start(start, folder, vit, task)
        if start is not None and start.complete:
            yield start
            return
        yield from task.run(start, folder)


def _listed(
    vit: VisionTransformer, order: Order | HeadImportance | HeadsLike
) -> Order | HeadImportance | list[Head]:
    return order if isinstance(order, str | HeadImportance) else check_pairs(vit, order)


def _start(
    start: BudgetPruning | None, folder: Store | None, vit: VisionTransformer, task: Task
) -> BudgetPruning | None:
    """What to go on from: what was given, or what is in the folder."""
    if start is not None and folder is not None:
        raise ParameterError("start and store were given: both say what to go on from; give one.")
    if folder is not None:
        return folder.load(vit)
    if start is None:
        return None
    if not isinstance(start, BudgetPruning):
        raise ParameterError(f"start is a {type(start).__name__}, not a BudgetPruning.")
    if start.budget != str(task.limit.goal):
        raise ParameterError(
            f"start is of the budget {start.budget!r}, but {task.limit.goal!s} was asked for."
        )
    return start


@last_of(prune_to_steps)
def prune_to(pruned: BudgetPruning) -> BudgetPruning:
    """Prune heads until a budget is reached, and say what the smaller model costs.

    Heads are pruned one after another while the accuracy is watched on the images that choose
    them. Once the budget is reached the heads are cut out
    (:func:`~vit_attention_widget.prune_heads`), and the smaller model is compared with the whole
    one: accuracy on held-out images, with Wilson's 95 % interval; parameters; FLOPs per image; and
    the time of a forward pass, both models in turn, on the model's device, the CPU, and a GPU
    where there is one.

    Parameters
    ----------
    model : nn.Module
        It is not changed, nor is it trained.
    images : list, data set or loader
        With the class of each image; all are kept as model input.
    labels : optional
        The classes, one per image, where they do not come with the images.
    keep_accuracy : float, optional
        The budget: heads go until the accuracy on the choosing images falls below this share of
        the whole model's.
    heads : int, optional
        The budget: so many heads are left.
    latency : float, optional
        The budget: a forward pass takes at most this share of the whole model's time, as measured
        on the model's device.
    order : str, HeadImportance, or heads
        As of :func:`~vit_attention_widget.pruning_curve`: a metric, ``"greedy"``, ``"random"``, an
        importance, or the heads themselves.
    held_out : images or float
        Images that only judge, or the share of ``images`` that is drawn for it by chance.
    finetune : bool, FineTuning, or function, optional
        Recovery: heads go in rounds, and after each the smaller model is trained for a while and
        the heads that are left are weighed anew. True is ``FineTuning()``, a short loop of plain
        torch; a function is given (model, images), a list of (model input, class index), and
        trains the model in place or returns it. A round after which the accuracy is too low is
        tried again with half as many heads.
    training : images or float
        What recovery learns from, or the share of the images that are left: a model is sure of
        images that it has learned, so others choose.
    heads_per_round : int, optional
        A twelfth of the heads by default.
    seed : int
        Of the sets that are drawn, and of a random order.
    start : BudgetPruning, optional
        What the same call computed before it was stopped; with recovery, its rounds.
    store : str or Path, optional
        A folder, in which the curve and the recovered models are written as they come. The same
        call goes on from it, also after the process was killed; that of another model, other images
        or options is refused.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    BudgetPruning
        ``.heads``, ``.curve``, ``.model``, and ``.ratio("parameters")``, ``"FLOPs"``,
        ``"accuracy"``, ``"seconds (cpu)"``; ``.to_dataframe()`` holds all of it.

    Raises
    ------
    ParameterError
        If not exactly one budget is given, it cannot be reached, or images have no labels.
    TargetError, ImageError, UnsupportedModelError

    Warns
    -----
    UserWarning
        If an error ends it: the result holds the curve (or the rounds) by then, and the error in
        ``.error``. After Ctrl-C and cancel it is what :func:`~vit_attention_widget.kept_result`
        returns.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> scenes = [vaw.demo.scene(seed=seed) for seed in range(20)]
    >>> pruned = vaw.prune_to(model, [(scene.image, scene.label) for scene in scenes], heads=20)
    >>> len(pruned.heads), pruned.ratio("parameters") < 1
    (4, True)
    """
    warn_if_stopped(pruned, "Pruning to a budget")
    return pruned
