"""How strongly patches attend to their neighbours, near and far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..tokens import TokenLayout
from ..trace import Trace

__all__ = ["AttentionStrength", "attention_strength"]


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


def attention_strength(trace: Trace, *, renormalise: bool = True) -> AttentionStrength:
    r"""Strength of every head's attention by distance (Li et al. 2023), and how far it reaches.

    :math:`s_k` is the mean of :math:`A_{ij}` over all ordered pairs of patches at hop k; the
    entropy of a head is :math:`-\sum_k q_k \ln q_k` with :math:`q = s / \sum s`. The mean attention
    distance is that of Dosovitskiy et al. 2021 (figure 7).

    Parameters
    ----------
    trace : Trace
    renormalise : bool
        For the distance, scale each patch's attention to the other patches to sum to 1, so that
        attention to the class token and registers does not shorten it. False takes it as it is,
        as the code that is commonly used does.

    Returns
    -------
    AttentionStrength

    Notes
    -----
    Attention is formed a few query rows at a time; sums over rings of patches come from sums over
    boxes, so their cost does not grow with the number of hops.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> found = vaw.attention_strength(
    ...     vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    ... )
    >>> found.profile.shape
    torch.Size([1, 6, 4, 10])
    """
    tokens = trace.tokens
    boxes = _Boxes(tokens, trace.inputs.device)
    like = trace.probabilities
    far = _pixels(tokens).to(like)
    widest = max(trace.num_heads)
    shape = trace.batch_size, trace.num_layers, widest
    profile = like.new_full((*shape, boxes.hops), torch.nan)
    distance = like.new_full(shape, torch.nan)
    place = tokens.prefix.index("class") if "class" in tokens.prefix else None
    shares = [like.new_full(shape, torch.nan) for _ in range(3)] if place is not None else None
    first = tokens.num_prefix
    for layer, heads in enumerate(trace.num_heads):
        rings = like.new_zeros(trace.batch_size, heads, boxes.hops)
        reach = like.new_zeros(trace.batch_size, heads)
        to_class = like.new_zeros(trace.batch_size, heads)
        for rows, attention in trace.attention_chunks(layer):
            attention = attention.to(like)
            if shares is not None and place is not None and rows.start <= place < rows.stop:
                row = attention[:, :, place - rows.start]
                shares[0][:, layer, :heads] = row[..., place]
                shares[1][:, layer, :heads] = row[..., first:].sum(-1)
            patches = slice(max(rows.start, first) - first, rows.stop - first)
            if patches.stop <= patches.start:
                continue
            from_patches = attention[:, :, max(first - rows.start, 0) :]
            if place is not None:
                to_class += from_patches[..., place].sum(-1)
            between = from_patches[..., first:]
            rings += boxes.rings(between, patches)
            if renormalise:
                total = between.sum(-1, keepdim=True)
                between = between / torch.where(total > 0, total, 1)
            reach += (between * far[patches]).sum((-2, -1))
        profile[:, layer, :heads] = rings / boxes.pairs.to(rings)
        distance[:, layer, :heads] = reach / tokens.num_patches
        if shares is not None:
            shares[2][:, layer, :heads] = to_class / tokens.num_patches
    q = profile / profile.sum(-1, keepdim=True)
    entropy = torch.special.entr(q).sum(-1)
    to_self, to_patches, back = shares or (None, None, None)
    return AttentionStrength(profile, entropy, distance, to_self, to_patches, back, boxes.pairs)


class _Boxes:
    """Sums over the patches at each hop of a patch, as differences of sums over boxes."""

    def __init__(self, tokens: TokenLayout, device: torch.device) -> None:
        self.rows, self.cols = tokens.rows, tokens.cols
        self.hops = max(self.rows, self.cols)
        row = torch.arange(self.rows).repeat_interleave(self.cols)[:, None]
        col = torch.arange(self.cols).repeat(self.rows)[:, None]
        hop = torch.arange(self.hops)
        top, bottom = (row - hop).clamp_min(0), (row + hop + 1).clamp_max(self.rows)
        left, right = (col - hop).clamp_min(0), (col + hop + 1).clamp_max(self.cols)
        width = self.cols + 1
        corners = (
            (bottom * width + right, top * width + left),
            (
                top * width + right,
                bottom * width + left,
            ),
        )
        # [patch, hop]: where a box's corners lie in the table of sums
        self._plus = [corner.to(device) for corner in corners[0]]
        self._minus = [corner.to(device) for corner in corners[1]]
        inside = (bottom - top) * (right - left)
        self.pairs = torch.diff(inside, prepend=torch.zeros_like(inside[:, :1])).sum(0).to(device)

    def rings(self, between: Tensor, patches: slice) -> Tensor:
        """Attention [batch, head, query, patch] of some patches -> sum at each hop."""
        grid = between.unflatten(-1, (self.rows, self.cols))
        sums = torch.nn.functional.pad(grid.cumsum(-2).cumsum(-1), (1, 0, 1, 0)).flatten(-2)

        def at(corner: Tensor) -> Tensor:
            return sums.gather(-1, corner[patches].expand(*sums.shape[:3], -1))

        boxes = at(self._plus[0]) + at(self._plus[1]) - at(self._minus[0]) - at(self._minus[1])
        boxes = boxes.sum(2)
        return torch.diff(boxes, prepend=torch.zeros_like(boxes[..., :1]))


def _pixels(tokens: TokenLayout) -> Tensor:
    """Distance of the centres of two patches in pixels, [patch, patch]."""
    row = torch.arange(tokens.rows).repeat_interleave(tokens.cols).double() * tokens.patch_height
    col = torch.arange(tokens.cols).repeat(tokens.rows).double() * tokens.patch_width
    return torch.hypot(row[:, None] - row, col[:, None] - col)
