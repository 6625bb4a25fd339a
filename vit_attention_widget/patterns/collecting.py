"""The heads of all images of a set, pooled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from ..data.items import ImagesLike, count_images
from ..data.reader import Batch, batches
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer, describe
from ..models.fingerprint import ModelFingerprint, fingerprint, sampled
from ..results.named_values import Variable
from ..results.rows import rows_of
from ..results.storage import JsonObject
from ..results.unfinished import Unfinished
from ..runs.long_run import LongRun
from ..support.progress import Progress
from ..tracing.model_or_trace import check_nothing_beside_trace
from ..tracing.run import trace
from ..tracing.trace import Trace
from .family_spec import FamilyName
from .pooled_heads import PooledHeads, pool_heads

__all__ = ["CollectedHeads", "collect_heads", "count_in"]

_AT_ONCE = 8
_POOLED = ("vectors", "scores", "heads")


@dataclass(frozen=True, eq=False)
class CollectedHeads(Unfinished):
    """The heads of some images, pooled: what patterns are learned from.

    Attributes
    ----------
    fingerprint : ModelFingerprint
    families : dict of str to PooledHeads
        With vectors in 8 bits.
    count : int
        Number of images.
    skipped : mapping of int to str
        Why an image of the set is not among these, by its number in the set: see ``on_error``.
    """

    fingerprint: ModelFingerprint
    families: dict[FamilyName, PooledHeads] = field(repr=False)
    count: int
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False
    skipped: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count

    @property
    def done(self) -> int:
        """Number of images."""
        return self.count

    kind = "pooled heads"

    def _stored(self) -> dict[str, Variable]:
        """What a folder shows to other tools: the heads of each image, layer after layer."""
        axes = "image", "head of all layers"
        return {
            f"{family} {name}": Variable(
                (*axes, f"{family} {axis}"), values.unflatten(0, (self.count, -1))
            )
            for family, pooled in self.families.items()
            for name, axis, values in (
                ("attention", "place", pooled.levels),
                ("score", "role", pooled.scores),
            )
        }

    def _images(self, first: int, last: int) -> CollectedHeads:
        some = rows_of(self, first, last, but=("skipped",))
        return replace(some, count=last - first)

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors, model = self.fingerprint.to_parts()
        for name, pooled in self.families.items():
            tensors |= {f"{name}.{each}": getattr(pooled, each) for each in _POOLED}
        return tensors, {"model": model, "families": list(self.families), "count": self.count}

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> CollectedHeads:
        families = {
            name: PooledHeads(*(tensors[f"{name}.{each}"] for each in _POOLED))
            for name in about["families"]
        }
        model = ModelFingerprint.from_parts(tensors, about["model"])
        return cls(model, families, int(about["count"]))

    @classmethod
    def of_trace(cls, trace: Trace) -> CollectedHeads:
        """The heads of the images of a trace."""
        families = {
            name: PooledHeads(pooled.levels, pooled.scores, pooled.heads)
            for name, pooled in pool_heads(trace).items()
        }
        return cls(sampled(trace.model), families, trace.batch_size)

    @classmethod
    def joined(
        cls, parts: Sequence[CollectedHeads], of_model: ModelFingerprint | None = None
    ) -> CollectedHeads:
        """The heads of all images of some parts, and of which model they are in all."""
        several: dict[FamilyName, list[PooledHeads]] = {}
        first = 0
        for part in parts:
            for name, pooled in part.families.items():
                heads = pooled.heads + torch.tensor([first, 0, 0])
                moved = PooledHeads(pooled.vectors, pooled.scores, heads)
                several.setdefault(name, []).append(moved)
            first += part.count
        families = {
            name: PooledHeads(
                torch.cat([pooled.vectors for pooled in pooled_heads]),
                torch.cat([pooled.scores for pooled in pooled_heads]),
                torch.cat([pooled.heads for pooled in pooled_heads]),
            )
            for name, pooled_heads in several.items()
        }
        return cls(of_model or parts[0].fingerprint, families, first)


def collect_heads(
    model_or_traces: nn.Module | VisionTransformer | Trace | list[Trace] | tuple[Trace, ...],
    images: ImagesLike | None,
    run: LongRun[CollectedHeads, CollectedHeads],
    progress: Progress,
) -> Iterator[None]:
    """Collect the heads of all images that are not kept yet; yields after every few."""
    traces = [model_or_traces] if isinstance(model_or_traces, Trace) else model_or_traces
    if isinstance(traces, list | tuple):
        check_nothing_beside_trace(executor=run.how.executor)
        if images is not None:
            raise ParameterError("Images were given beside traces, which have their own.")
        yield from _of_traces(traces, run, progress)
    else:
        yield from run.over(batches(images, None, _AT_ONCE), _of_batch, progress)


def _of_batch(
    vit: VisionTransformer, progress: Progress, batch: Batch, before: CollectedHeads | None
) -> Iterator[CollectedHeads]:
    done = 0
    for inputs in batch.inputs_by_size(vit):
        progress(done / len(batch), "looking at images")
        yield CollectedHeads.of_trace(trace(vit, inputs, gradients=False))
        done += len(inputs)


def _of_traces(
    traces: Sequence[Trace], run: LongRun[CollectedHeads, CollectedHeads], progress: Progress
) -> Iterator[None]:
    if not traces:
        raise ImageError("There are no images: give at least one.")
    of_model = fingerprint(traces[0].model)
    first = 0
    for number, each in enumerate(traces):
        progress(number / len(traces), f"looking at image {first}")
        of_model.check(each.model)
        yield from run.once(partial(_once, each), each.inputs, first)
        first += each.batch_size


def _once(traced: Trace, before: CollectedHeads | None) -> Iterator[CollectedHeads]:
    yield CollectedHeads.of_trace(traced)


def count_in(
    model_or_traces: nn.Module | VisionTransformer | Trace | list[Trace] | tuple[Trace, ...],
    images: ImagesLike | None,
) -> int | None:
    """How many images there are, where that is known."""
    if isinstance(model_or_traces, Trace):
        return model_or_traces.batch_size
    if isinstance(model_or_traces, list | tuple):
        return sum(each.batch_size for each in model_or_traces)
    return count_images(images)


def model_of(
    model_or_traces: nn.Module | VisionTransformer | Trace | list[Trace] | tuple[Trace, ...],
) -> VisionTransformer:
    """The model, or that of the traces."""
    if isinstance(model_or_traces, list | tuple):
        if not model_or_traces:
            raise ImageError("There are no images: give at least one.")
        model_or_traces = model_or_traces[0]
    return describe(
        model_or_traces.model if isinstance(model_or_traces, Trace) else model_or_traces
    )
