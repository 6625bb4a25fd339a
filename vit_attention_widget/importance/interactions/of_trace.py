"""Pairs of heads in one trace: one head is masked, and every other removed in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...models.head_index import Heads, head_pairs, heads_by_layer
from ...support.progress import Progress, no_progress
from ...tracing.run import remask
from ...tracing.trace import Trace
from ..head_ablation import removals
from ..metrics import Metric, exact_values
from ..of_trace import steps_of_trace
from ..upper_layers import recorded_outcome
from .result import HeadInteractions, InteractionPart

__all__ = ["interactions_of_trace"]

Head = tuple[int, int]

_ADDITIVE: tuple[Metric, ...] = ("probability", "loss", "accuracy")
"""Differences of what is left without some heads, so that an interaction is that of the pair:
(f(a) - f(ab)) - (f() - f(b)) is the same for a and b."""


def interactions_of_trace(
    trace: Trace,
    gone: Sequence[Head],
    metric: Metric,
    max_batch: int | None,
    report: Progress,
    before: HeadInteractions | None = None,
) -> Iterator[HeadInteractions]:
    """What is known of the images of a trace, ever more of it; the last is complete."""
    if before is None:
        importance = _importance(trace, metric, max_batch)
        shape = (trace.batch_size, len(gone), *importance.shape[1:])
        values, left = importance.new_full(shape, torch.nan), len(gone)
    else:
        (part,) = before.parts
        importance, values, left = part.importance, part.values.clone(), part.gone_left

    def known() -> HeadInteractions:
        part = InteractionPart(values.clone(), importance, left)
        return HeadInteractions((part,), tuple(gone), metric, trace.target.name, ongoing=left > 0)

    for row in range(len(gone) - left, len(gone)):
        layer, head = gone[row]
        lowest = _lowest_layer(trace, gone, layer, metric)
        masked = _also_masked(trace, (layer, head))
        without = _importance(masked, metric, max_batch, lowest)
        values[:, row, lowest:] = (without - importance)[:, lowest:]
        if metric in _ADDITIVE:
            _mirror(values, gone, row)
        left -= 1
        report((row + 1) / len(gone), f"without head {head} of layer {layer}")
        yield known()


def _importance(trace: Trace, metric: Metric, max_batch: int | None, lowest: int = 0) -> Tensor:
    """[image, layer, head] from a layer on; NaN below, and of masked heads."""
    if lowest == 0:
        *_, importance = steps_of_trace(trace, (metric,), max_batch, no_progress)
        return importance[metric].cpu().double()
    shape = (trace.batch_size, trace.num_layers, max(trace.num_heads))
    values = torch.full(shape, torch.nan, dtype=torch.float64)
    labels = torch.tensor(trace.target.index)  # an additive metric has been seen to have a class
    for removal in removals(trace, max_batch=max_batch):  # from the last layer down
        if removal.layer < lowest:
            break
        recorded = recorded_outcome(trace, removal.layer)
        change = exact_values(metric, recorded, removal.outcome, labels)
        values[:, removal.layer, removal.heads] = change.T.cpu().double()
    return values


def _lowest_layer(trace: Trace, gone: Sequence[Head], layer: int, metric: Metric) -> int:
    """From which layer on the others are to be removed: pairs below are seen from the other."""
    if metric not in _ADDITIVE:
        return 0
    masked = set(head_pairs(trace.head_mask))
    below = {(i, head) for i in range(layer) for head in range(trace.num_heads[i])} - masked
    return layer if below <= set(gone) else 0


def _also_masked(trace: Trace, head: Head) -> Trace:
    mask: Heads = heads_by_layer([*head_pairs(trace.head_mask), head])
    return remask(trace, mask)


def _mirror(values: Tensor, gone: Sequence[Head], row: int) -> None:
    """Pairs with heads above, as these see them."""
    layer, head = gone[row]
    above = [other for other, (higher, _) in enumerate(gone) if higher > layer]
    if above:
        layers, heads = zip(*(gone[other] for other in above), strict=True)
        values[:, above, layer, head] = values[:, row, layers, heads]
