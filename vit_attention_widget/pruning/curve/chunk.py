"""Images as a model sees them without the heads that were pruned so far."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...data.items import ImagesLike
from ...data.reader import batches
from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.eval_mode import evaluating
from ...models.head_index import Heads, head_pairs, heads_by_layer
from ...models.output_kind import picks, probabilities
from ...targets.user_target import TargetLike
from ...tracing.masking import masked_heads
from ...tracing.run import check_logits, remask, trace
from ...tracing.trace import Trace
from .result import CurveMetric

__all__ = ["Chunk", "chunks_of", "mean_outcome"]

_IMAGES_AT_ONCE = 8


class Chunk:
    """Some of the images as the model sees them now, without the heads pruned so far."""

    def __init__(self, first: Trace, metric: CurveMetric, *, alone: bool) -> None:
        index = first.target.index
        if metric == "accuracy" and first.model.output == "value":
            raise ParameterError(
                f"{first.model.name} returns a value, which is neither right nor wrong: draw "
                'metric="probability", the value itself.'
            )
        if index is None:
            raise ParameterError(f"The target {first.target.name!r} is not a class: give one.")
        self.vit, self.inputs, self.labels = first.model, first.inputs, list(index)
        self.logits, self.mask = first.logits, first.head_mask
        self._masked_before = head_pairs(first.head_mask)
        # Many images are run anew each time; for few, the layers below are kept.
        self._trace = first if alone else None

    def prune(self, heads: Sequence[tuple[int, int]]) -> None:
        """Remove these heads beside those that were masked at first."""
        self.mask = heads_by_layer([*self._masked_before, *heads])
        if self._trace is not None:
            self._trace = remask(self._trace, self.mask)
            self.logits = self._trace.logits
            return
        with evaluating(self.vit.model), torch.no_grad(), masked_heads(self.vit, self.mask):
            logits = self.vit.forward(self.inputs)
        check_logits(logits, self.vit, len(self.inputs))
        self.logits = logits

    def trace(self) -> Trace:
        """A trace as the model sees the images now."""
        if self._trace is not None:
            return self._trace
        return trace(self.vit, self.inputs, self.labels, head_mask=self.mask, gradients=False)


def chunks_of(
    vit: VisionTransformer,
    images: ImagesLike | None,
    target: TargetLike,
    metric: CurveMetric,
    mask: Heads,
) -> list[Chunk]:
    """Images a few at a time, some heads being masked; all of them are kept."""
    parts = list(batches(images, target, _IMAGES_AT_ONCE))
    alone = len(parts) == 1
    traces = (trace(vit, *part.prepared(vit), head_mask=mask, gradients=False) for part in parts)
    return [Chunk(trace_of_part, metric, alone=alone) for trace_of_part in traces]


def mean_outcome(chunks: list[Chunk], metric: CurveMetric) -> float:
    """Mean over all images of the probability of their class, or of its being the first."""
    total, count = 0.0, 0
    for chunk in chunks:
        labels = torch.tensor(chunk.labels, device=chunk.logits.device)
        read = picks if metric == "accuracy" else probabilities
        total += float(read(chunk.logits, chunk.vit.output).gather(1, labels[:, None]).sum())
        count += len(labels)
    return total / count
