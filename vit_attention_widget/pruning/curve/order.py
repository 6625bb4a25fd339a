"""In which order heads go: by importance, at random, as given, or each the cheapest then."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from ...errors import ParameterError
from ...importance.head_ablation import removals
from ...importance.metrics import METRICS, OLD_METRICS, Metric, exact_values
from ...importance.result import HeadImportance
from ...importance.run import head_importance_steps
from ...importance.upper_layers import recorded_outcome
from ...models import VisionTransformer
from ...models.head_index import HeadsLike, check_pairs
from ...support.deprecation import renamed_choice
from ...support.progress import Progress
from .chunk import Chunk

__all__ = ["ORDERS", "Order", "heads_in_order", "importance_for_order", "needs_importance"]

Order = Metric | Literal["greedy", "random"]
ORDERS: tuple[Order, ...] = (*METRICS, "greedy", "random")


Next = tuple[int, int] | Callable[[list[Chunk]], tuple[int, int]]


def needs_importance(order: Order | HeadImportance | HeadsLike) -> bool:
    """Whether heads go by an importance that has to be computed.

    Raises
    ------
    ParameterError
        If there is no such order.
    """
    if not isinstance(order, str) or order in ("greedy", "random"):
        return False
    if renamed_choice("order", order, OLD_METRICS) not in METRICS:
        raise ParameterError(f"The order is {order!r}: choose from {', '.join(ORDERS)}.")
    return True


def heads_in_order(
    vit: VisionTransformer,
    chunks: list[Chunk],
    order: Order | HeadImportance | HeadsLike,
    importance: HeadImportance | None,
    prunable: list[tuple[int, int]],
    seed: int,
) -> tuple[str, Sequence[Next]]:
    """What to call an order, and its heads; a greedy one finds each when it is its turn.

    ``importance`` is what :func:`importance_for_order` found, where one is needed.
    """
    if isinstance(order, HeadImportance):
        return order.metric, [head for head in _ranked(order) if head in prunable]
    if not isinstance(order, str):
        return "given", _given(vit, order, prunable)
    if order == "greedy":
        return order, [_cheapest] * len(prunable)
    if order == "random":
        shuffled = prunable.copy()
        random.Random(seed).shuffle(shuffled)
        return f"random (seed {seed})", shuffled
    assert importance is not None
    return importance.metric, _ranked(importance)


def importance_for_order(
    vit: VisionTransformer,
    chunks: list[Chunk],
    order: Any,
    start: HeadImportance | None,
    store: Path | None,
    progress: Progress,
) -> Iterator[HeadImportance]:
    """The importance by which heads go, ever more of it."""
    metric = renamed_choice("order", order, OLD_METRICS)

    def early(fraction: float, label: str) -> None:
        progress(0.0, label)

    images: list[object] = [(chunk.inputs, chunk.labels) for chunk in chunks]
    target: list[int] | None = None
    if vit.output == "value":  # its labels would be measured values
        images = [image for chunk in chunks for image in chunk.inputs]
        target = [index for chunk in chunks for index in chunk.labels]
    mask = chunks[0].mask
    if start is not None and start.complete:
        yield start
        return
    if start is not None:
        store = None
    yield from head_importance_steps(
        vit,
        images,
        target,
        metric=metric,
        head_mask=mask,
        start=start,
        store=store,
        progress=early,
    )


def _ranked(importance: HeadImportance) -> list[tuple[int, int]]:
    return importance.ranking()[::-1]


def _given(
    vit: VisionTransformer, heads: HeadsLike, prunable: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    pairs = check_pairs(vit, heads)
    if len(set(pairs)) < len(pairs):
        raise ParameterError("The order names a head twice: each can be pruned once.")
    masked = set(pairs) - set(prunable)
    if masked:
        layer, head = min(masked)
        raise ParameterError(f"The order names head {head} of layer {layer}, which is masked.")
    return pairs


def _cheapest(chunks: list[Chunk]) -> tuple[int, int]:
    """The head whose removal costs the least probability, or moves a value least, as it stands."""
    costs: dict[tuple[int, int], float] = {}
    for chunk in chunks:
        now, labels = chunk.trace(), torch.tensor(chunk.labels)
        for removal in removals(now):
            before = recorded_outcome(now, removal.layer)
            change = exact_values("probability", before, removal.outcome, labels).sum(1)
            for head, cost in zip(removal.heads, change.tolist(), strict=True):
                pair = removal.layer, head
                costs[pair] = costs.get(pair, 0.0) + cost
    is_value = chunks[0].vit.output == "value"
    return min(costs, key=lambda head: abs(costs[head]) if is_value else costs[head])
