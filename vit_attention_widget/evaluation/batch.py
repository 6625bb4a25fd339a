"""Every method scored by every metric, one batch of images at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.masks import MaskLike, next_masks
from ..data.reader import Batch
from ..errors import JobCancelled, ParameterError, VitAttentionError
from ..explainers.by_name import Explainer, explain
from ..models import VisionTransformer
from ..models.head_index import Heads
from ..support.progress import Progress, part_of
from ..tracing.trace import Trace
from ..tracing.traced_batch import traced_batch
from .baselines import BASELINES, center, random
from .columns import Column
from .maps import Interpolation, checked_maps, to_pixels
from .masks import place_mask
from .occlusion import Occluder
from .result import Evaluation, Part

__all__ = ["Evaluator"]


@dataclass(frozen=True)
class OfBatches:
    """Measures batches of images; see :class:`~..runs.kept.Measure`."""

    evaluator: Evaluator
    head_mask: Heads

    def __call__(
        self, vit: VisionTransformer, report: Progress, batch: Batch, before: Evaluation | None
    ) -> Iterator[Evaluation]:
        """Evaluate a batch."""
        return self.evaluator.evaluate_batch(vit, self.head_mask, report, batch, before)

    def alone(self, batch: Batch) -> OfBatches:
        """The same for one batch, elsewhere."""
        return OfBatches(self.evaluator.alone(batch), self.head_mask)


class Evaluator:
    """What is evaluated, and how.

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
    """

    def __init__(
        self,
        methods: Mapping[str, Explainer],
        columns: Sequence[Column],
        masks: Iterator[MaskLike] | list[MaskLike] | None,
        *,
        interpolation: Interpolation,
        ignore: int | None,
        seed: int,
        max_batch: int | None,
    ) -> None:
        self.methods, self.columns, self.masks = methods, columns, masks
        self.interpolation, self.ignore = interpolation, ignore
        self.seed, self.max_batch = seed, max_batch
        self.names = (*methods, *BASELINES)
        self._masks_taken = 0

    def joined(self, parts: Sequence[Evaluation]) -> Evaluation:
        """The evaluation of consecutive images, of which the last may lack some methods."""
        failed: dict[str, Exception] = {}
        for evaluation in parts:
            failed = {**evaluation.failed, **failed}
        several = tuple(part for evaluation in parts for part in evaluation.parts)
        return self._evaluation(several, failed)

    def parts_of(self, start: Evaluation | None) -> list[Evaluation]:
        """What ``start`` holds, in parts of which only the last may lack some methods.

        Raises
        ------
        ParameterError
            If it is no evaluation of these methods by these metrics.
        """
        if start is None:
            return []
        if not isinstance(start, Evaluation):
            raise ParameterError(f"start is a {type(start).__name__}, not an Evaluation.")
        here = self.joined_about()
        for what in ("methods", "metrics"):
            if getattr(start, what) != here[what]:
                raise ParameterError(
                    f"start has the {what} {', '.join(getattr(start, what))}, but "
                    f"{', '.join(here[what])} were asked for: go on with the same."
                )
        return [
            self._evaluation((part,), start.failed, ongoing=part.methods_left > 0)
            for part in start.parts
        ]

    def joined_about(self) -> dict[str, tuple[str, ...]]:
        """Methods and metrics, as an evaluation names them."""
        return {"methods": self.names, "metrics": tuple(column.name for column in self.columns)}

    def _evaluation(
        self,
        parts: tuple[Part, ...],
        failed: Mapping[str, Exception],
        *,
        ongoing: bool = False,
    ) -> Evaluation:
        return Evaluation(
            parts,
            self.names,
            tuple(column.name for column in self.columns),
            {column.name: column.metric.better for column in self.columns},
            {column.name: column.fractions for column in self.columns if column.fractions},
            None,
            dict(failed),
            ongoing=ongoing,
        )

    def evaluate_batch(
        self,
        vit: VisionTransformer,
        head_mask: Heads,
        report: Progress,
        batch: Batch,
        before: Evaluation | None,
    ) -> Iterator[Evaluation]:
        """Evaluate a batch, in halves where memory is short."""
        for traced, part in traced_batch(vit, batch, head_mask=head_mask):
            whole = before if len(part) == len(batch) else None
            yield from self.evaluate_trace(traced, part.images, report, part.first, whole)

    def evaluate_trace(
        self,
        trace: Trace,
        images: Sequence[object] | Tensor,
        report: Progress,
        first: int = 0,
        before: Evaluation | None = None,
    ) -> Iterator[Evaluation]:
        """Evaluate a trace; yields after every method what is known of its images.

        Parameters
        ----------
        trace : Trace
        images : sequence or Tensor
            What each of the trace's images was made from, which tells how its mask is preprocessed.
        report : callable
            Progress over these images.
        first : int
            Number of the first image among all.
        before : Evaluation, optional
            What is known of these images already.
        """
        located = self._placed_masks(trace, images, first)
        occluder = Occluder(
            trace,
            seed=self.seed,
            first=first,
            max_batch=self.max_batch,
            progress=report,
            expected=len(self.names) * trace.batch_size * sum(c.variants for c in self.columns),
        )
        shape = (trace.batch_size, len(self.names), len(self.columns))
        values = torch.full(shape, torch.nan, dtype=torch.float64)
        curves: dict[str, list[Tensor | None]] = {c.name: [] for c in self.columns if c.fractions}
        failed: dict[str, Exception] = {}
        if before is not None:
            values, failed = before.values.clone(), dict(before.failed)
            for name, of_methods in before.parts[0].curves.items():
                curves[name].extend(of_methods.unbind(1)[: -before.parts[0].methods_left])
        begin = 0 if before is None else len(self.names) - before.parts[0].methods_left
        for row, name in list(enumerate(self.names))[begin:]:
            start = row / len(self.names)
            maps = self._maps(trace, name, first, failed, part_of(report, start, start))
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
            left = len(self.names) - row - 1
            if all(any(curve is not None for curve in each) for each in curves.values()):
                stacked = {name: _stacked(each, left) for name, each in curves.items()}
                part = Part(values.clone(), stacked, left)
                yield self._evaluation((part,), failed, ongoing=left > 0)
            report((row + 1) / len(self.names), name)  # localization alone hides no patches

    def _placed_masks(
        self, trace: Trace, images: Sequence[object] | Tensor, first: int
    ) -> tuple[Tensor, Tensor] | None:
        """Objects and pixels that count, [batch, height, width]; the masks are used up."""
        if self.masks is None:
            return None
        masks = self._masks_of(self.masks, first, len(images))
        if not any(column.metric.needs_masks for column in self.columns):
            return None
        placed = [
            place_mask(trace.model, image, mask, inputs, self.ignore)
            for image, mask, inputs in zip(images, masks, trace.inputs, strict=True)
        ]
        objects, counted = zip(*placed, strict=True)
        return torch.stack(objects), torch.stack(counted)

    def _masks_of(
        self, masks: Iterator[MaskLike] | list[MaskLike], first: int, count: int
    ) -> list[MaskLike]:
        if isinstance(masks, list):  # of one batch, of which images may be tried again
            return masks[first - self._masks_taken :][:count]
        passed = first - self._masks_taken  # masks of images that were evaluated before
        self._masks_taken = first + count
        return next_masks(masks, passed + count)[passed:]

    def alone(self, batch: Batch) -> Evaluator:
        """What evaluates one batch elsewhere, with its masks; they are used up here."""
        other = copy.copy(self)
        if self.masks is not None:
            other.masks = self._masks_of(self.masks, batch.first, len(batch))
            other._masks_taken = batch.first
        return other

    def _maps(
        self,
        trace: Trace,
        name: str,
        first: int,
        failed: dict[str, Exception],
        report: Progress,
    ) -> Tensor | None:
        """A method's maps, or None, and a note of why, where it cannot explain the images."""
        if name == "center":
            return checked_maps(trace, center(trace))
        if name == "random":
            return checked_maps(trace, random(trace, seed=self.seed + first))
        try:
            return checked_maps(trace, explain(self.methods[name], trace, report))
        except JobCancelled:
            raise
        except VitAttentionError as error:
            failed.setdefault(name, error)
            return None


def _stacked(curves: list[Tensor | None], left: int) -> Tensor:
    """[image, method, fraction]; NaN where a method failed, and for those that are left."""
    measured = next(curve for curve in curves if curve is not None)
    curves = [*curves, *[None] * left]
    full = [torch.full_like(measured, torch.nan) if curve is None else curve for curve in curves]
    return torch.stack(full, 1).float()
