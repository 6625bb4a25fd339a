"""Every method scored by every metric, one batch of images at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ..data.masks import MaskLike, next_masks
from ..data.reader import Batch
from ..errors import JobCancelled, VitAttentionError
from ..explainers.by_name import Explainer, explain
from ..models import VisionTransformer
from ..models.head_index import Heads
from ..support.progress import Progress, over_images, part_of
from ..tracing.trace import Trace
from ..tracing.traced_batch import traced_batch
from .baselines import BASELINES, center, random
from .columns import Column
from .maps import Interpolation, checked_maps, to_pixels
from .masks import place_mask
from .occlusion import Occluder
from .result import Evaluation, Part

__all__ = ["Evaluator"]


class Evaluator:
    """What is evaluated, and what is known so far.

    Parameters
    ----------
    methods : mapping
        Explainers by name; the baselines come after them.
    columns : sequence of Column
    masks : iterator, optional
        Masks of the images, in their order.
    interpolation : {"bilinear", "nearest"}
    ignore : int, optional
    seed : int
    max_batch : int, optional
    total : int, optional
        Number of all images, where it is known.
    progress : callable
        Over all images.
    """

    def __init__(
        self,
        methods: Mapping[str, Explainer],
        columns: Sequence[Column],
        masks: Iterator[MaskLike] | None,
        *,
        interpolation: Interpolation,
        ignore: int | None,
        seed: int,
        max_batch: int | None,
        total: int | None,
        progress: Progress,
    ) -> None:
        self.methods, self.columns, self.masks = methods, columns, masks
        self.interpolation, self.ignore = interpolation, ignore
        self.seed, self.max_batch = seed, max_batch
        self.total, self.progress = total, progress
        self.names = (*methods, *BASELINES)
        self.done = 0
        self.parts: list[Part] = []
        self.failed: dict[str, Exception] = {}

    def result(self, error: Exception | None = None) -> Evaluation:
        """What is known so far."""
        return Evaluation(
            tuple(self.parts),
            self.names,
            tuple(column.name for column in self.columns),
            {column.name: column.metric.better for column in self.columns},
            {column.name: column.fractions for column in self.columns if column.fractions},
            error,
            dict(self.failed),
        )

    def evaluate_batch(
        self, vit: VisionTransformer, batch: Batch, head_mask: Heads
    ) -> Iterator[None]:
        """Evaluate a batch, in halves where memory is short; yields after each part."""
        for traced, part in traced_batch(vit, batch, head_mask=head_mask):
            self.evaluate_trace(traced, part.images)
            yield

    def evaluate_trace(self, trace: Trace, images: Sequence[object] | Tensor) -> None:
        """Evaluate a trace.

        Parameters
        ----------
        trace : Trace
        images : sequence or Tensor
            What each of the trace's images was made from, which tells how its mask is preprocessed.
        """
        report = over_images(self.progress, self.done, trace.batch_size, self.total)
        located = self._placed_masks(trace, images)
        occluder = Occluder(
            trace,
            seed=self.seed,
            first=self.done,
            max_batch=self.max_batch,
            progress=report,
            expected=len(self.names) * trace.batch_size * sum(c.variants for c in self.columns),
        )
        shape = (trace.batch_size, len(self.names), len(self.columns))
        values = torch.full(shape, torch.nan, dtype=torch.float64)
        curves: dict[str, list[Tensor | None]] = {c.name: [] for c in self.columns if c.fractions}
        for row, name in enumerate(self.names):
            start = row / len(self.names)
            maps = self._maps(trace, name, part_of(report, start, start))
            for index, column in enumerate(self.columns):
                if maps is None:
                    if column.name in curves:
                        curves[column.name].append(None)
                elif located is not None and column.metric.needs_masks:
                    heat = to_pixels(trace, maps, self.interpolation)
                    values[:, row, index] = column.locate(heat, *located)
                else:
                    values[:, row, index], curve = column.measure(occluder, maps)
                    if curve is not None:
                        curves[column.name].append(curve.values)
            report((row + 1) / len(self.names), name)  # localization alone hides no patches
        self.done += trace.batch_size
        self.parts.append(Part(values, {name: _stacked(each) for name, each in curves.items()}))

    def _placed_masks(
        self, trace: Trace, images: Sequence[object] | Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Objects and pixels that count, [batch, height, width]; the masks are used up."""
        if self.masks is None:
            return None
        masks = next_masks(self.masks, len(images))
        if not any(column.metric.needs_masks for column in self.columns):
            return None
        placed = [
            place_mask(trace.model, image, mask, inputs, self.ignore)
            for image, mask, inputs in zip(images, masks, trace.inputs, strict=True)
        ]
        objects, counted = zip(*placed, strict=True)
        return torch.stack(objects), torch.stack(counted)

    def _maps(self, trace: Trace, name: str, report: Progress) -> Tensor | None:
        """A method's maps, or None, and a note of why, where it cannot explain the images."""
        if name == "center":
            return checked_maps(trace, center(trace))
        if name == "random":
            return checked_maps(trace, random(trace, seed=self.seed + self.done))
        try:
            return checked_maps(trace, explain(self.methods[name], trace, report))
        except JobCancelled:
            raise
        except VitAttentionError as error:
            self.failed.setdefault(name, error)
            return None


def _stacked(curves: list[Tensor | None]) -> Tensor:
    """[image, method, fraction]; NaN where a method failed."""
    measured = next(curve for curve in curves if curve is not None)
    full = [torch.full_like(measured, torch.nan) if curve is None else curve for curve in curves]
    return torch.stack(full, 1).float()
