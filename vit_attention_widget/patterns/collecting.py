"""The heads of all images of a set, pooled."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ..data.items import ImagesLike, count_images
from ..data.reader import batches
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer, describe
from ..models.fingerprint import ModelFingerprint, fingerprint
from ..support.progress import Progress
from ..tracing.run import trace
from ..tracing.trace import Trace
from .family_spec import FamilyName
from .pooled_heads import PooledHeads, pool_heads

__all__ = ["collect_heads"]

_AT_ONCE = 8


def collect_heads(
    model_or_traces: nn.Module | VisionTransformer | Trace | list[Trace] | tuple[Trace, ...],
    images: ImagesLike | None,
    progress: Progress,
) -> tuple[ModelFingerprint, dict[FamilyName, PooledHeads]]:
    """The model's fingerprint, and all heads of all images by family, with vectors in 8 bits."""
    parts: dict[FamilyName, list[PooledHeads]] = {}
    of_model: ModelFingerprint | None = None
    first = 0
    for traced, fraction in _traces(model_or_traces, images):
        progress(fraction, f"looking at image {first}")
        if of_model is None:
            of_model = fingerprint(traced.model)
        else:
            of_model.check(traced.model)
        for name, pooled in pool_heads(traced).items():
            heads = pooled.heads + torch.tensor([first, 0, 0])
            parts.setdefault(name, []).append(PooledHeads(pooled.levels, pooled.scores, heads))
        first += traced.batch_size
    if of_model is None:
        raise ImageError("There are no images: give at least one.")
    return of_model, {
        name: PooledHeads(
            torch.cat([pooled.vectors for pooled in several]),
            torch.cat([pooled.scores for pooled in several]),
            torch.cat([pooled.heads for pooled in several]),
        )
        for name, several in parts.items()
    }


def _traces(
    model_or_traces: nn.Module | VisionTransformer | Trace | list[Trace] | tuple[Trace, ...],
    images: ImagesLike | None,
) -> Iterator[tuple[Trace, float]]:
    """Traces of all images, and the fraction of images that were traced before each."""
    traces = [model_or_traces] if isinstance(model_or_traces, Trace) else model_or_traces
    if isinstance(traces, list | tuple):
        if images is not None:
            raise ParameterError("Images were given beside traces, which have their own.")
        for i, traced in enumerate(traces):
            yield traced, i / len(traces)
        return
    vit, total, done = describe(traces), count_images(images), 0
    for batch in batches(images, None, _AT_ONCE):
        for inputs in batch.inputs_by_size(vit):
            yield trace(vit, inputs, gradients=False), done / total if total else 0.0
            done += len(inputs)
