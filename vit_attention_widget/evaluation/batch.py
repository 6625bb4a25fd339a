"""What is measured of a few images at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..data.masks import next_masks
from ..data.reader import Batch
from ..errors import JobCancelled, VitAttentionError
from ..explainers import Attribution
from ..models import VisionTransformer
from ..models.head_index import Heads
from ..support.progress import Progress
from ..tracing.memory import is_out_of_memory, release
from ..tracing.run import trace
from ..tracing.trace import Trace
from .baselines import BASELINES, center, random
from .maps import checked_maps, to_pixels
from .masks import place_mask
from .metrics import Measure
from .occlusion import Perturbed
from .result import Evaluation, Part

__all__ = ["Method", "State", "measured"]

Method = Callable[[Trace], Attribution]


@dataclass
class State:
    """What is asked for, and how far things are."""

    methods: Mapping[str, Method]
    columns: tuple[Measure, ...]
    unit: str
    interpolation: str
    ignore: int | None
    seed: int
    max_batch: int | None
    done: int = 0
    failed: dict[str, Exception] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Methods, then baselines."""
        return (*self.methods, *BASELINES)

    def result(self, parts: list[Part], error: Exception | None = None) -> Evaluation:
        """What is known so far."""
        return Evaluation(
            tuple(parts),
            self.names,
            tuple(column.name for column in self.columns),
            {column.name: column.metric.better for column in self.columns},
            {column.name: column.fractions for column in self.columns if column.fractions},
            error,
            dict(self.failed),
        )


def measured(
    vit: VisionTransformer,
    batch: Batch,
    masks: Iterator[Any] | None,
    head_mask: Heads,
    state: State,
    report: Progress | None,
) -> Iterator[Part]:
    """A batch of images, in halves where the memory is too small for all."""
    try:
        trace_ = trace(vit, *batch.prepared(vit), head_mask=head_mask)
    except RuntimeError as error:
        halves = batch.halves()
        if not is_out_of_memory(error) or halves is None:
            raise
    else:
        masked = None
        if masks is not None:
            masked = list(zip(batch.images, next_masks(masks, len(batch)), strict=True))
        yield _part(trace_, masked, state, report)
        return
    release(vit.device)
    for half in halves:
        yield from measured(vit, half, masks, head_mask, state, report)


def _part(
    found: Trace, given: list[tuple[Any, Any]] | None, state: State, report: Progress | None
) -> Part:
    located = [column for column in state.columns if column.metric.needs_masks]
    placed = None
    if given is not None and located:
        both = [
            place_mask(found.model, image, mask, inputs, state.ignore)
            for (image, mask), inputs in zip(given, found.inputs, strict=True)
        ]
        placed = torch.stack([on for on, _ in both]), torch.stack([counts for _, counts in both])
    held = Perturbed(
        found,
        seed=state.seed,
        first=state.done,
        max_batch=state.max_batch,
        progress=report,
        expected=len(state.names) * found.batch_size * sum(c.variants for c in state.columns),
    )
    shape = (found.batch_size, len(state.names), len(state.columns))
    values = torch.full(shape, torch.nan, dtype=torch.float64)
    curves: dict[str, list[Tensor | None]] = {c.name: [] for c in state.columns if c.fractions}
    for row, name in enumerate(state.names):
        maps = _map_of(found, name, state)
        for at, column in enumerate(state.columns):
            if maps is None:
                if column.name in curves:
                    curves[column.name].append(None)
            elif placed is not None and column.metric.needs_masks:
                heat = to_pixels(found, maps, state.interpolation)
                values[:, row, at] = column.locate(heat, *placed)
            else:
                values[:, row, at], curve = column.measure(held, maps)
                if curve is not None:
                    curves[column.name].append(curve.values)
        if report is not None:  # localization alone runs no model, but can be cancelled too
            report((row + 1) / len(state.names), name)
    state.done += found.batch_size
    return Part(values, {name: _stacked(each) for name, each in curves.items()})


def _map_of(found: Trace, name: str, state: State) -> Tensor | None:
    """The final map, or None (and a note of why) where the method cannot explain the images."""
    if name == "center" and name not in state.methods:
        return checked_maps(found, center(found))
    if name == "random" and name not in state.methods:
        return checked_maps(found, random(found, seed=state.seed + state.done))
    try:
        return checked_maps(found, state.methods[name](found))
    except JobCancelled:
        raise
    except VitAttentionError as error:
        state.failed.setdefault(name, error)
        return None


def _stacked(each: list[Tensor | None]) -> Tensor:
    """[image, method, point]; NaN where a method failed."""
    known = next(curve for curve in each if curve is not None)
    full = [torch.full_like(known, torch.nan) if curve is None else curve for curve in each]
    return torch.stack(full, 1).float()
