"""How strongly patches attend to their neighbours, near and far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..models import VisionTransformer
from ..models.token_layout import TokenLayout
from ..support.deprecation import renamed_keywords
from ..tracing.model_or_trace import as_trace
from ..tracing.trace import Trace

__all__ = ["AttentionStrength", "attention_strength"]


_ENTRIES = 2**24
"""Of attention formed at a time: 64 MB in float32."""


@dataclass(frozen=True)
class AttentionStrength:
    """Strength of attention by distance, for every head; NaN where a layer has fewer heads.

    Attributes
    ----------
    profile : Tensor
        [batch, layer, head, hop]: mean attention over all ordered pairs of patches that are so
        many hops apart (Chebyshev distance on the grid; hop 0 is the patch itself).
    entropy : Tensor
        [batch, layer, head], of the profile scaled to sum to 1, in nats; at most ln(hops).
    distance : Tensor
        [batch, layer, head], mean attention distance between patches in pixels.
    class_to_class, class_to_patches, patches_to_class : Tensor or None
        [batch, layer, head], shares of attention in [0, 1]: of the class token to itself, to all
        patches, and of the mean patch to the class token. None without a class token.
    pairs : Tensor
        [hop], ordered pairs of patches at each hop.
    """

    profile: Tensor
    entropy: Tensor
    distance: Tensor
    class_to_class: Tensor | None
    class_to_patches: Tensor | None
    patches_to_class: Tensor | None
    pairs: Tensor

    @property
    def hops(self) -> int:
        """Number of hops, the patch itself included: the longer side of the grid."""
        return int(self.profile.shape[-1])

    def to_dataframe(self) -> Any:
        """One row a head and image. Needs pandas."""
        import pandas as pd

        batch, layers, heads = self.entropy.shape
        index = pd.MultiIndex.from_product(
            [range(batch), range(layers), range(heads)], names=["image", "layer", "head"]
        )
        columns = {
            name: getattr(self, name).flatten().cpu().numpy()
            for name in (
                "entropy", "distance", "class_to_class", "class_to_patches", "patches_to_class"
            )
            if getattr(self, name) is not None
        }  # fmt: skip
        return pd.DataFrame(columns, index=index).dropna(subset=["entropy"]).reset_index()


@renamed_keywords({"renormalise": "renormalize", "trace": "model_or_trace"})
def attention_strength(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: Any = None,
    *,
    renormalize: bool = True,
) -> AttentionStrength:
    r"""Strength of every head's attention by distance (Li et al. 2023), and how far it reaches.

    :math:`s_k` is the mean of :math:`A_{ij}` over all ordered pairs of patches at hop k; the
    entropy of a head is :math:`-\sum_k q_k \ln q_k` with :math:`q = s / \sum s`. The mean attention
    distance is that of Dosovitskiy et al. 2021 (figure 7).

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images.
    images : image, float tensor, or list of images
    renormalize : bool
        For the distance, scale each patch's attention to the other patches to sum to 1, so that
        attention to the class token and registers does not shorten it. False takes it as it is,
        as the code that is commonly used does.

    Returns
    -------
    AttentionStrength

    Raises
    ------
    ParameterError, ImageError, UnsupportedModelError, CaptureError

    Notes
    -----
    Attention is formed a few rows of the grid at a time, and summed over the pairs that lie alike
    before any distance is looked at.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> image = vaw.demo.scene(seed=1).image
    >>> strength = vaw.attention_strength(vaw.demo.load_model(), image)
    >>> strength.profile.shape
    torch.Size([1, 6, 4, 10])
    """
    trace = as_trace(model_or_trace, images, gradients=False)
    tokens = trace.tokens
    like = trace.probabilities
    apart = _Apart(tokens, like)
    widest = max(trace.num_heads)
    shape = trace.batch_size, trace.num_layers, widest
    profile = like.new_full((*shape, apart.hops), torch.nan)
    distance = like.new_full(shape, torch.nan)
    place = tokens.prefix.index("class") if "class" in tokens.prefix else None
    shares = [like.new_full(shape, torch.nan) for _ in range(3)] if place is not None else None
    first = tokens.num_prefix
    for layer, heads in enumerate(trace.num_heads):
        plain = apart.sums(trace.batch_size, heads)
        scaled = torch.zeros_like(plain) if renormalize else plain
        to_class = like.new_zeros(trace.batch_size, heads)
        for rows, attention in _grid_rows(trace, layer):
            attention = attention.to(like)
            between = attention[..., first:]
            apart.add(plain, rows, between)
            if renormalize:
                total = between.sum(-1, keepdim=True)
                apart.add(scaled, rows, between, torch.where(total > 0, 1 / total, 1))
            if place is not None:
                to_class += attention[..., place].sum(-1)
        profile[:, layer, :heads] = apart.rings(plain) / apart.pairs.to(like)
        distance[:, layer, :heads] = apart.pixels(scaled) / tokens.num_patches
        if shares is not None:
            row = trace.attention(layer, query=place).to(like)
            shares[0][:, layer, :heads] = row[..., place]
            shares[1][:, layer, :heads] = row[..., first:].sum(-1)
            shares[2][:, layer, :heads] = to_class / tokens.num_patches
    q = profile / profile.sum(-1, keepdim=True)
    entropy = torch.special.entr(q).sum(-1)
    to_self, to_patches, back = shares or (None, None, None)
    return AttentionStrength(profile, entropy, distance, to_self, to_patches, back, apart.pairs)


def _grid_rows(trace: Trace, layer: int) -> Iterator[tuple[slice, Tensor]]:
    """Attention of the patches, a few rows of the grid at a time."""
    tokens, record = trace.tokens, trace.layers[layer]
    batch, heads, count, _ = record.q.shape
    size = max(1, _ENTRIES // max(1, batch * heads * count * tokens.cols))
    for start in range(0, tokens.rows, size):
        rows = slice(start, min(start + size, tokens.rows))
        queries = slice(*(tokens.num_prefix + at * tokens.cols for at in (rows.start, rows.stop)))
        yield rows, trace.attention(layer, query=queries)


class _Apart:
    """Attention between patches, summed over the pairs that lie alike.

    Sums are [batch, head, col, rows apart, col]: of the looking patch, from it, of the other.
    All that depends on a distance is read off them.
    """

    def __init__(self, tokens: TokenLayout, like: Tensor) -> None:
        self.rows, self.cols = tokens.rows, tokens.cols
        self.hops = max(self.rows, self.cols)
        self._like = like
        col = torch.arange(self.cols)  # on the CPU: distances want float64, which not all have
        across = (col[:, None, None] - col).abs()
        down = torch.arange(1 - self.rows, self.rows).abs()[:, None]
        hop = torch.maximum(across, down).flatten()
        self._hop = hop.to(like.device)
        self._far = torch.hypot(
            down.double() * tokens.patch_height, across.double() * tokens.patch_width
        ).to(like)
        pairs = (self.rows - down).expand(self.cols, -1, self.cols).flatten()
        self.pairs = torch.zeros_like(pairs[: self.hops]).index_add(0, hop, pairs).to(like.device)

    def sums(self, batch: int, heads: int) -> Tensor:
        """Nothing yet."""
        return self._like.new_zeros(batch, heads, self.cols, 2 * self.rows - 1, self.cols)

    def add(self, sums: Tensor, rows: slice, between: Tensor, scale: Tensor | None = None) -> None:
        """Add attention [batch, head, query, patch] of some rows of the grid, in place."""
        grid = (rows.stop - rows.start, self.cols)
        looking = between.unflatten(-1, (self.rows, self.cols)).unflatten(2, grid)
        scales = None if scale is None else scale[..., None].unflatten(2, grid)
        for at, row in enumerate(range(rows.start, rows.stop)):
            part = sums[..., self.rows - 1 - row : 2 * self.rows - 1 - row, :]
            if scales is None:
                part += looking[:, :, at]
            else:
                part.addcmul_(looking[:, :, at], scales[:, :, at])

    def rings(self, sums: Tensor) -> Tensor:
        """[batch, head, hop]: over all pairs at each hop."""
        rings = sums.new_zeros(*sums.shape[:2], self.hops)
        return rings.index_add(-1, self._hop, sums.flatten(2))

    def pixels(self, sums: Tensor) -> Tensor:
        """[batch, head]: attention times the distance of the patches' centres."""
        return (sums * self._far).sum((-3, -2, -1))
