"""Prune some heads, recover, weigh the others anew: until a budget is reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ...importance.result import HeadImportance
from ...models import VisionTransformer
from ...models.head_index import HeadsLike
from ...support.progress import Progress, part_of
from ..curve.order import Order
from ..curve.result import PruningCurve
from ..curve.run import pruning_curve_steps
from ..cut.run import prune_heads
from ..top1 import accuracy
from .copies import described_copy, heads_left, unused_heads, with_heads_seen
from .limit import Limit
from .recovery import FineTuning, Recovery, recover
from .result import Recovered
from .sets import Sets

__all__ = ["Accepted", "rounds"]

Head = tuple[int, int]


@dataclass(frozen=True)
class Accepted:
    """What is left after some rounds that were within the budget."""

    model: nn.Module
    heads: tuple[Head, ...]
    accuracies: tuple[float, ...]
    recovered: tuple[Recovered, ...] = ()

    def curve(self, name: str, total: int, *, ongoing: bool) -> PruningCurve:
        """The accuracies as heads went; at the end of a round that after recovery."""
        values = torch.tensor(self.accuracies, dtype=torch.float64)
        said = f"{name}, recovered"
        return PruningCurve(
            values, list(self.heads), "accuracy", said, total=total, ongoing=ongoing
        )


def rounds(
    whole: VisionTransformer,
    sets: Sets,
    limit: Limit,
    order: Order | HeadImportance | list[Head],
    finetune: FineTuning | Recovery,
    size: int,
    seed: int,
    start: Accepted | None,
    progress: Progress,
) -> Iterator[Accepted]:
    """What is accepted after each round; the last is as far as the budget goes.

    A round that falls below the accuracy is tried again with half as many heads, until a single
    one is too many.
    """
    first = accuracy(whole, list(sets.choosing)) if start is None else start.accuracies[0]
    now = Accepted(whole.model, (), (float(first),)) if start is None else start
    if start is not None:
        yield start
    while size and limit.reached(now.heads, now.accuracies) is None:
        left, most = sum(whole.num_heads) - len(now.heads), limit.most - len(now.heads)
        size = min(size, most, left)
        if not size:
            return
        begin, end = (len(now.heads) / limit.most, (len(now.heads) + size) / limit.most)
        report = part_of(progress, begin, end)
        tried = _round(whole, sets, now, order, finetune, size, seed, report)
        if tried is None:  # the order names no more heads
            return
        if not limit.allows(tried.accuracies[-1], now.accuracies[0]):
            size //= 2
            continue
        now = tried
        yield now
        if limit.goal.kind == "latency" and limit.is_quick(now.model):
            return


def _round(
    whole: VisionTransformer,
    sets: Sets,
    now: Accepted,
    order: Order | HeadImportance | list[Head],
    finetune: FineTuning | Recovery,
    size: int,
    seed: int,
    progress: Progress,
) -> Accepted | None:
    """A round more: prune so many heads of what is left, and recover."""
    small = whole
    if now.heads:
        small = with_heads_seen(described_copy(now.model, whole), sets.choosing[0][0])
    names = heads_left(small, whole)
    chosen = _as_numbered_now(order, names)
    if not names or (isinstance(chosen, list) and not chosen):
        return None
    *_, curve = pruning_curve_steps(
        small,
        list(sets.choosing),
        order=chosen,
        metric="accuracy",
        steps=min(size, len(names)),
        head_mask=unused_heads(small, whole),
        seed=seed,
        progress=part_of(progress, 0, 0.5),
    )
    cut = prune_heads(small, curve.order)
    trained = recover(cut, whole, list(sets.training), finetune, part_of(progress, 0.5, 1))
    after = float(accuracy(described_copy(trained, whole), list(sets.choosing)))
    *during, before = curve.values.tolist()[1:]
    heads = (*now.heads, *(names[head] for head in curve.order))
    return Accepted(
        trained,
        heads,
        (*now.accuracies, *during, after),
        (*now.recovered, Recovered(len(heads), before, after)),
    )


def _as_numbered_now(
    order: Order | HeadImportance | list[Head], names: dict[Head, Head]
) -> Order | HeadsLike:
    """An order that names heads of the whole model, as these are numbered among those left."""
    if isinstance(order, str):
        return order
    heads = order.ranking()[::-1] if isinstance(order, HeadImportance) else order
    now = {name: head for head, name in names.items()}
    return [now[head] for head in heads if head in now]
