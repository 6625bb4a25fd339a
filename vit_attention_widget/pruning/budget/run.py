"""Prune heads until a budget is reached, and say what that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ...data.items import ImagesLike
from ...data.labels import LabelsLike, with_names_of
from ...errors import ParameterError
from ...importance.result import HeadImportance
from ...models import VisionTransformer, describe
from ...models.head_index import HeadsLike, check_pairs
from ...results.unfinished import warn_if_stopped
from ...support.progress import Progress, ProgressLike, part_of, reporting
from ...support.steps import last_of
from ...support.stopped import keeping, partial_of
from ..curve.order import Order, needs_importance
from ..curve.result import PruningCurve
from ..curve.run import pruning_curve_steps
from ..top1 import accuracy
from .copies import described_copy
from .cost import Quantity, Race, accuracies, devices_of, sizes
from .goal import goal_of
from .limit import Limit
from .recovery import FineTuning, Recovery
from .result import BudgetPruning
from .rounds import Accepted, rounds
from .sets import Sets, read_sets
from .store import Store

__all__ = ["prune_to", "prune_to_steps"]

Head = tuple[int, int]

_ROUNDS = 12


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
        task = _Task(vit, sets, limit, _listed(vit, order), learn, heads_per_round, seed, report)
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
    start: BudgetPruning | None, folder: Store | None, vit: VisionTransformer, task: _Task
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


@dataclass(frozen=True)
class _Task:
    """All that a budget is reached with."""

    vit: VisionTransformer
    sets: Sets
    limit: Limit
    order: Order | HeadImportance | list[Head]
    learn: FineTuning | Recovery | None
    heads_per_round: int | None
    seed: int
    report: Progress

    @property
    def order_name(self) -> str:
        if isinstance(self.order, HeadImportance):
            return self.order.metric
        return self.order if isinstance(self.order, str) else "given"

    @property
    def round_size(self) -> int:
        return self.heads_per_round or max(1, sum(self.vit.num_heads) // _ROUNDS)

    def about(self) -> tuple[VisionTransformer, dict[str, object]]:
        """What a folder of it is of."""
        importance = isinstance(self.order, HeadImportance)
        return self.vit, {
            "budget": str(self.limit.goal),
            "order": self.order.ranking() if importance else self.order,  # type: ignore[union-attr]
            "finetune": self.learn,
            "heads_per_round": self.round_size if self.learn is not None else None,
            "seed": self.seed,
            "images": self.sets.digests(),
        }

    def run(self, start: BudgetPruning | None, folder: Store | None) -> Iterator[BudgetPruning]:
        """The result so far, ever more of it; the last is complete."""
        latest: BudgetPruning | None = None

        def keep(partial: BudgetPruning | None) -> None:
            nonlocal latest
            latest = latest if partial is None else partial

        with keeping(lambda: latest):
            self.limit.check()
            choose = self._at_once if self.learn is None else self._in_rounds
            try:
                for each in choose(start, keep):
                    keep(each)
                    if folder is not None:
                        folder.save(each)
                    if each.ongoing:
                        yield each
                assert latest is not None
                self._check_reached(latest)
                done = self._measured(latest)
                keep(done)
            finally:
                if folder is not None and latest is not None:
                    folder.save(latest, now=True)
            yield done

    def _so_far(self, curve: PruningCurve, count: int | None = None) -> BudgetPruning:
        """The first ``count`` heads of a curve; without it more are still to come."""
        part = curve.order if count is None else curve.order[:count]
        total = self.limit.most if self.limit.goal.kind == "heads" else None
        counts = {name: len(images) for name, images in vars(self.sets).items()}
        budget = str(self.limit.goal)
        return BudgetPruning(
            list(part), curve, budget, num_images=counts, total=total, ongoing=count is None
        )

    def _at_once(
        self, start: BudgetPruning | None, keep: Callable[[BudgetPruning | None], None]
    ) -> Iterator[BudgetPruning]:
        """Without recovery: along one curve, as far as the budget goes."""
        curve = None
        steps = pruning_curve_steps(
            self.vit,
            list(self.sets.choosing),
            order=self.order,
            metric="accuracy",
            steps=self.limit.most,
            seed=self.seed,
            start=None if start is None else start.curve,
            progress=part_of(self.report, 0, 0.9),
        )
        try:
            for curve in steps:
                count = self.limit.reached(curve.order, curve.values.tolist())
                if count is not None:
                    yield self._so_far(_ended(curve), count)
                    return
                yield self._so_far(curve)
        except BaseException as error:
            partial = partial_of(error)  # of the order's importance, say
            keep(self._so_far(partial) if isinstance(partial, PruningCurve) else None)
            raise
        assert curve is not None
        if self.limit.goal.kind == "latency":
            raise self._too_slow(len(curve.order))
        yield self._so_far(_ended(curve), len(curve.order))

    def _in_rounds(
        self, start: BudgetPruning | None, keep: Callable[[BudgetPruning | None], None]
    ) -> Iterator[BudgetPruning]:
        """With recovery: round by round."""
        accepted = None
        if start is not None and start.model is not None and start.recovered:
            accuracies = tuple(start.curve.values.tolist())
            accepted = Accepted(start.model, tuple(start.heads), accuracies, tuple(start.recovered))
        last = None
        assert self.learn is not None
        for now in rounds(
            self.vit, self.sets, self.limit, self.order, self.learn, self.round_size, self.seed,
            accepted, part_of(self.report, 0, 0.9),
        ):  # fmt: skip
            last = self._of_rounds(now)
            yield last
        if last is None:
            values = torch.full((1,), torch.nan, dtype=torch.float64)
            none = PruningCurve(values, [], "accuracy", self.order_name)
            yield self._so_far(none, 0)
            return
        yield replace(last, curve=_ended(last.curve), ongoing=False)

    def _of_rounds(self, now: Accepted) -> BudgetPruning:
        curve = now.curve(self.order_name, self.limit.most, ongoing=True)
        return replace(self._so_far(curve), model=now.model, recovered=list(now.recovered))

    def _check_reached(self, chosen: BudgetPruning) -> None:
        """Raise :class:`ParameterError` if the budget was not reached."""
        goal, count = self.limit.goal, len(chosen.heads)
        if goal.kind == "accuracy" and not count:
            raise ParameterError(
                f"No head can go: already without the first by {self.order_name} the accuracy on "
                f"the {len(self.sets.choosing)} images that choose falls below {goal.value:g} of "
                "the whole model's. Ask for less, choose another order, give more images (of few "
                "each is a step), or let it recover: finetune=True, with enough to learn from."
            )
        if goal.kind == "heads" and count < self.limit.most:
            raise ParameterError(
                f"The order names {count} heads, but {self.limit.most} must go so that "
                f"{goal} are: name more."
            )
        if goal.kind == "latency" and self.learn is not None:
            tries = range(3)  # a time near the limit jitters
            if chosen.model is None or not any(self.limit.is_quick(chosen.model) for _ in tries):
                raise self._too_slow(count)

    def _too_slow(self, count: int) -> ParameterError:
        return ParameterError(
            f"Without the {count} heads that went a forward pass still takes more than "
            f"{self.limit.goal.value:g} of the whole model's: name more heads, or ask for more "
            "time."
        )

    def _measured(self, chosen: BudgetPruning) -> BudgetPruning:
        """With the smaller model, and what it costs on images that did not choose."""
        small = chosen.model or self.limit.without(chosen.heads)
        described = described_copy(small, self.vit)
        judged = []
        for number, each in enumerate((self.vit, described)):
            begin = 0.9 + 0.04 * number
            report = part_of(self.report, begin, begin + 0.04)
            judged.append(accuracy(each, list(self.sets.held_out), progress=report))
        quantities: list[Quantity] = [accuracies(*judged)]
        quantities += sizes(self.vit, described, self.sets.held_out)
        for device in devices_of(self.vit):
            self.report(0.99, f"timing both models ({device})")
            quantities.append(Race(self.vit, self.sets.held_out, device).against(small))
        self.report(1.0, f"{len(chosen.heads)} heads pruned")
        return replace(chosen, model=small, quantities=quantities, ongoing=False)


def _ended(curve: PruningCurve) -> PruningCurve:
    """A curve that goes as far as was wanted."""
    return replace(curve, total=len(curve.order), ongoing=False)


@last_of(prune_to_steps)
def prune_to(pruned: BudgetPruning) -> BudgetPruning:
    """Prune heads until a budget is reached, and say what the smaller model costs.

    Heads go one after another, and the accuracy is watched on the images that choose them; where
    the budget is reached the model is cut (:func:`~vit_attention_widget.prune_heads`), and what it
    costs is measured beside the whole one: the accuracy on images that did not choose, with
    Wilson's interval of 95 %; parameters; FLOPs of one image; and the time of a forward pass, both
    models in turn, on the model's device, the CPU, and a GPU where there is one.

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
