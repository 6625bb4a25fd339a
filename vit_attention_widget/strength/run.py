"""Measure how strongly patches attend to each other, near and far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..models import VisionTransformer
from ..models.images import ImageLike
from ..support.deprecation import renamed_keywords
from ..tracing.model_or_trace import as_trace
from ..tracing.trace import Trace
from .offset_sums import OffsetSums
from .result import AttentionStrength

__all__ = ["attention_strength"]


_ENTRIES = 2**24
"""Entries of attention that are formed at a time: 64 MB in float32."""


@renamed_keywords({"renormalise": "renormalize", "trace": "model_or_trace"})
def attention_strength(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImageLike | Sequence[ImageLike] | None = None,
    *,
    renormalize: bool = True,
) -> AttentionStrength:
    r"""Strength of every head's attention by distance (Li et al. 2023), and its mean distance.

    The strength :math:`s_k` is the mean of :math:`A_{ij}` over all ordered pairs of patches at hop
    k; the entropy of a head is :math:`-\sum_k q_k \ln q_k` with :math:`q = s / \sum s`. The mean
    attention distance is that of Dosovitskiy et al. 2021 (figure 7).

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images.
    images : image, float tensor, or list of images
    renormalize : bool
        For the distance, scale each patch's attention to the patches so that it sums to 1:
        attention to the class token and registers then does not shorten the distance. With False
        it is taken as it is, as in the code that is commonly used.

    Returns
    -------
    AttentionStrength
        ``.values`` [image, layer, head, hop], ``.entropy`` and ``.distance`` [image, layer, head].

    Raises
    ------
    ParameterError, ImageError, UnsupportedModelError, CaptureError

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
    trace = as_trace(model_or_trace, images, gradients=False)
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
