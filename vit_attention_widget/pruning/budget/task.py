"""What a budget is reached with: heads chosen at once along a curve, or round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from ...errors import ParameterError
from ...importance.result import HeadImportance
from ...models import VisionTransformer
from ...support.progress import Progress, part_of
from ...support.stopped import keeping, partial_of
from ..curve.order import Order
from ..curve.result import PruningCurve
from ..curve.run import pruning_curve_steps
from ..top1 import accuracy
from .copies import described_copy
from .cost import Quantity, Race, accuracies, devices_of, sizes
from .limit import Limit
from .recovery import FineTuning, Recovery
from .result import BudgetPruning
from .rounds import Accepted, rounds
from .sets import Sets
from .store import Store

__all__ = ["Task"]

Head = tuple[int, int]

_ROUNDS = 12


@dataclass(frozen=True)
class Task:
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
        """What to call the order."""
        if isinstance(self.order, HeadImportance):
            return self.order.metric
        return self.order if isinstance(self.order, str) else "given"

    @property
    def round_size(self) -> int:
        """How many heads go in a round."""
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
