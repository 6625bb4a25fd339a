"""Attention rollout (Abnar and Zuidema 2020), and the chain of products it shares with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...errors import ParameterError
from ...models.token_layout import TokenLayout
from ...support.deprecation import renamed_keywords
from ...tracing.trace import Trace
from ..attribution import Attribution
from .attention import HeadFusion, fuse_heads

__all__ = ["Rows", "chain", "check_residual_weight", "discarding", "rollout"]

Rows = Iterator[tuple[slice, Tensor]]
"""A matrix [batch, query, key], a few query rows at a time."""

Fuse = Callable[[int], Rows]
"""The matrix of a layer."""


@renamed_keywords({"alpha": "residual_weight"})
def rollout(
    trace: Trace,
    *,
    head_fusion: HeadFusion = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 1.0,
) -> Attribution:
    r"""Attention multiplied through the layers, with the residual connection as an identity.

    :math:`R_l = \mathrm{rownorm}(\bar A_l + \alpha I)\, R_{l-1}`; the map is the class-token row
    of :math:`R_l` over the patches (Abnar and Zuidema 2020, eq. 1, :math:`\alpha = 1`).
    Class-agnostic. Without a class token the row is weighted as the readout weighs its tokens.

    Parameters
    ----------
    trace : Trace
    head_fusion : {"mean", "max", "min"}
        How the heads of a layer become one matrix; masked heads are left out. A layer whose heads
        are all masked passes on what it is given.
    discard_ratio : float
        Share of the smallest entries of each layer's matrix set to 0 before the identity is
        added, in [0, 1). The column of the class token is never dropped; rows are renormalized.
    residual_weight : float
        :math:`\alpha`, the weight of the identity, at least 0.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], in [0, 1].

    Notes
    -----
    Two slips of widely copied code are avoided: rows (not columns) are renormalized, with the
    identity in place, and what is discarded never includes the class token.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.explainers.rollout(trace, head_fusion="max", discard_ratio=0.9).final.shape
    torch.Size([1, 10, 10])
    """

    def fused(layer: int) -> Rows:
        masked = trace.layers[layer].masked
        for rows, weights in trace.attention_chunks(layer):
            yield rows, fuse_heads(weights, head_fusion, masked)

    kept = discarding(fused, discard_ratio, trace.tokens)
    return Attribution.from_layers(
        trace, chain(trace, kept, residual_weight), "rollout", class_agnostic=True
    )


def discarding(fused: Fuse, ratio: float, tokens: TokenLayout) -> Fuse:
    """``fused`` without the given share of the smallest entries of each layer's matrix.

    The column of the class token is never dropped. This needs a layer's fused matrix as a whole.

    Raises
    ------
    ParameterError
        If the share is not in [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ParameterError(f"discard_ratio is {ratio}: it must be at least 0, below 1.")
    if ratio == 0:
        return fused

    def kept(layer: int) -> Rows:
        whole = torch.cat([weights for _, weights in fused(layer)], 1)
        yield slice(0, whole.shape[1]), _discard(whole, ratio, tokens)

    return kept


def chain(
    trace: Trace, fused: Fuse, residual_weight: float, *, normalize: bool = True
) -> list[Tensor]:
    """Readout rows of ``R_l = rownorm(A_l + a I) R_{l-1}`` for every l, each [batch, token].

    The rows are carried down from layer l to layer 0, all of them together, so each layer's
    matrix is formed once, a few query rows at a time, and never multiplied with another.
    Without ``normalize`` the rows of ``A_l + a I`` are taken as they are.
    """
    check_residual_weight(residual_weight)
    start = trace.readout.weights()
    if start.dtype in (torch.float16, torch.bfloat16):
        start = start.float()  # what many layers add to is often small beside what it is added to
    carried = start.new_zeros(start.shape[0], 0, start.shape[1])  # [batch, layers >= l, token]
    for layer in reversed(range(trace.num_layers)):
        carried = torch.cat([start[:, None].to(carried), carried], 1)
        moved = torch.zeros_like(carried)
        for rows, weights in fused(layer):
            share = carried[:, :, rows]
            if normalize:
                total = weights.sum(-1) + residual_weight
                share = share / torch.where(total > 0, total, 1)[:, None]
            moved += share @ weights.to(share)
            moved[:, :, rows] += residual_weight * share
        carried = moved
    return list(carried.unbind(1))


def check_residual_weight(weight: float) -> None:
    """Raise :class:`ParameterError` unless the weight of the identity is at least 0."""
    if not weight >= 0:  # NaN too
        raise ParameterError(f"residual_weight is {weight}: it is at least 0.")


def _discard(matrix: Tensor, ratio: float, tokens: TokenLayout) -> Tensor:
    flat = matrix.flatten(1)
    count = int(flat.shape[-1] * ratio)
    smallest = flat.topk(count, dim=-1, largest=False).indices
    dropped = flat.scatter(-1, smallest, 0).view_as(matrix)
    if tokens.num_prefix:
        first = tokens.class_token or 0
        dropped[..., first] = matrix[..., first]
    return dropped
