"""Measure how strongly patches attend to each other, near and far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.items import ImagesLike
from ..data.reader import Batch
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer
from ..results.unfinished import warn_if_stopped
from ..runs.long_run import How, long_run
from ..runs.skipped import OnError
from ..support.deprecation import renamed_keywords
from ..support.progress import Progress, ProgressLike
from ..support.steps import last_of
from ..tracing.model_or_trace import ModelAndImages
from ..tracing.trace import Trace
from ..tracing.traced_batch import traced_batch
from .offset_sums import OffsetSums
from .result import AttentionStrength

__all__ = ["attention_strength"]


_ENTRIES = 2**24
"""Entries of attention that are formed at a time: 64 MB in float32."""


_old_names = renamed_keywords({"renormalise": "renormalize", "trace": "model_or_trace"})


@_old_names
def attention_strength_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    *,
    renormalize: bool = True,
    start: AttentionStrength | None = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    on_error: OnError | None = None,
    progress: ProgressLike = None,
) -> Iterator[AttentionStrength]:
    """:func:`attention_strength` in one step; what ends it early has what there was by then."""
    asked = ModelAndImages.of(model_or_trace, images, executor=executor)
    with long_run(
        "attention_strength",
        asked.vit,
        AttentionStrength,
        _joined,
        _checked(start),
        How(start, store, executor, on_error, progress),
        asked.total,
        renormalize=renormalize,
        head_mask=asked.head_mask,
    ) as run:
        if asked.trace is not None:
            one = partial(_once, asked.trace, renormalize)
            steps = run.once(one, asked.trace.inputs)
        else:
            steps = run.over(asked.batches(_AT_ONCE), partial(_of_batch, renormalize))
        yield run.kept.after(steps)


def _of_batch(
    renormalize: bool,
    vit: VisionTransformer,
    report: Progress,
    batch: Batch,
    before: AttentionStrength | None,
) -> Iterator[AttentionStrength]:
    for trace, _ in traced_batch(vit, replace(batch, target=None), gradients=False):
        yield _of_trace(trace, renormalize)
    report(1.0, "measuring attention")


def _once(
    trace: Trace, renormalize: bool, before: AttentionStrength | None
) -> Iterator[AttentionStrength]:
    yield _of_trace(trace, renormalize)


def _checked(start: AttentionStrength | None) -> list[AttentionStrength]:
    if start is None:
        return []
    if not isinstance(start, AttentionStrength):
        raise ParameterError(f"start is a {type(start).__name__}, not an AttentionStrength.")
    return [replace(start, error=None, ongoing=False, skipped={})]


def _joined(parts: Sequence[AttentionStrength]) -> AttentionStrength:
    names = [each.name for each in fields(AttentionStrength) if each.name not in _NOT_BY_IMAGE]
    columns = {name: [getattr(part, name) for part in parts] for name in names}
    if len({(part.profile.shape[1:], part.class_to_class is None) for part in parts}) > 1:
        shapes = sorted({part.profile.shape[1:] for part in parts})
        raise ImageError(
            "The images differ in size after preprocessing, or start is of another model: layers, "
            f"heads and hops are {', '.join(str(tuple(shape)) for shape in shapes)}."
        )
    joined: dict[str, Any] = {
        name: None if values[0] is None else torch.cat(values) for name, values in columns.items()
    }
    return AttentionStrength(**joined, pairs=parts[0].pairs)


_NOT_BY_IMAGE = ("pairs", "error", "total", "ongoing", "skipped")
_AT_ONCE = 8


@_old_names
@last_of(attention_strength_steps)
def attention_strength(strength: AttentionStrength) -> AttentionStrength:
    r"""Strength of every head's attention by distance (Li et al. 2023), and its mean distance.

    The strength :math:`s_k` is the mean of :math:`A_{ij}` over all ordered pairs of patches at hop
    k; the entropy of a head is :math:`-\sum_k q_k \ln q_k` with :math:`q = s / \sum s`. The mean
    attention distance is that of Dosovitskiy et al. 2021 (figure 7).

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images.
    images : image, float tensor, list, data set or loader
        Of one size after preprocessing; a few at a time are run. Labels are not needed.
    renormalize : bool
        For the distance, scale each patch's attention to the patches so that it sums to 1:
        attention to the class token and registers then does not shorten the distance. With False
        it is taken as it is, as in the code that is commonly used.
    start : AttentionStrength, optional
        What the same call measured before it was stopped; only the other images are.
    store : str or Path, optional
        A folder, in which what is computed is written as it is computed. The same call goes on from
        it, also after the process was killed; that of another model or other options is refused.
    executor : Executor, optional
        What computes the batches: one of ``concurrent.futures``, or Dask's
        ``client.get_executor(pure=False, retries=2)``. Its workers read the images, best given as
        paths, and load the model once. Without it all is computed here.
    on_error : {"raise", "skip", "retry"}, optional
        What becomes of an image that cannot be read, or whose worker fails each time. ``"skip"``
        goes on without it: ``.skipped`` names it, and the same call does not try it again;
        ``"retry"`` does. ``"raise"``, the default without ``executor``, ends there.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    AttentionStrength
        ``.values`` [image, layer, head, hop], ``.entropy`` and ``.distance`` [image, layer, head].

    Raises
    ------
    ParameterError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If an error ends it after the first images: the result holds those, and the error in
        ``.error``. After Ctrl-C and cancel it is what
        :func:`~vit_attention_widget.kept_result` returns.

    Notes
    -----
    Attention is formed for a few rows of patches at a time.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> image = vaw.demo.scene(seed=1).image
    >>> strength = vaw.attention_strength(vaw.demo.load_model(), image)
    >>> strength.values.shape
    torch.Size([1, 6, 4, 10])
    """
    warn_if_stopped(strength, "The strength of attention")
    return strength


def _of_trace(trace: Trace, renormalize: bool) -> AttentionStrength:
    """The strength of every head's attention in the images of a trace."""
    tokens = trace.tokens
    like = trace.probabilities
    offsets = OffsetSums(tokens, like)
    shape = trace.batch_size, trace.num_layers, max(trace.num_heads)
    profile = like.new_full((*shape, offsets.hops), torch.nan)
    distance = like.new_full(shape, torch.nan)
    class_token = tokens.class_token
    shares = (
        [like.new_full(shape, torch.nan) for _ in range(3)] if class_token is not None else None
    )
    first = tokens.num_prefix
    for layer, heads in enumerate(trace.num_heads):
        plain = offsets.zeros(trace.batch_size, heads)
        scaled = torch.zeros_like(plain) if renormalize else plain
        to_class = like.new_zeros(trace.batch_size, heads)
        for rows, attention in _attention_by_rows(trace, layer):
            attention = attention.to(like)
            to_patches = attention[..., first:]
            offsets.add(plain, rows, to_patches)
            if renormalize:
                total = to_patches.sum(-1, keepdim=True)
                offsets.add(scaled, rows, to_patches, torch.where(total > 0, 1 / total, 1))
            if class_token is not None:
                to_class += attention[..., class_token].sum(-1)
        profile[:, layer, :heads] = offsets.by_hop(plain) / offsets.pairs.to(like)
        distance[:, layer, :heads] = offsets.times_distance(scaled) / tokens.num_patches
        if shares is not None:
            row = trace.attention(layer, query=class_token).to(like)
            shares[0][:, layer, :heads] = row[..., class_token]
            shares[1][:, layer, :heads] = row[..., first:].sum(-1)
            shares[2][:, layer, :heads] = to_class / tokens.num_patches
    scaled_to_one = profile / profile.sum(-1, keepdim=True)
    entropy = torch.special.entr(scaled_to_one).sum(-1)
    class_to_class, class_to_patches, patches_to_class = shares or (None, None, None)
    return AttentionStrength(
        profile,
        entropy,
        distance,
        class_to_class,
        class_to_patches,
        patches_to_class,
        offsets.pairs,
    )


def _attention_by_rows(trace: Trace, layer: int) -> Iterator[tuple[slice, Tensor]]:
    """Attention of the patches, [batch, head, query, key], a few rows of the grid at a time."""
    tokens, record = trace.tokens, trace.layers[layer]
    batch, heads, count, _ = record.q.shape
    size = max(1, _ENTRIES // max(1, batch * heads * count * tokens.cols))
    for start in range(0, tokens.rows, size):
        rows = slice(start, min(start + size, tokens.rows))
        first, last = (tokens.num_prefix + row * tokens.cols for row in (rows.start, rows.stop))
        yield rows, trace.attention(layer, query=slice(first, last))
