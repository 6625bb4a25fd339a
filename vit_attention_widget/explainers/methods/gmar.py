"""GMAR: Gradient-Driven Multi-Head Attention Rollout (Jo, Jang and Park, ICIP 2025)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from ...errors import ParameterError
from ...support.deprecation import renamed_keywords
from ...tracing.trace import Trace
from ..attribution import Attribution
from .rollout import chain, check_residual_weight

__all__ = ["gmar", "head_weights"]

GradientNorm = Literal["l1", "l2"]
Update = Literal["rollout", "paper"]


@renamed_keywords({"alpha": "residual_weight", "norm": "gradient_norm"})
def gmar(
    trace: Trace,
    *,
    gradient_norm: GradientNorm = "l1",
    update: Update = "rollout",
    residual_weight: float = 1.0,
) -> Attribution:
    r"""Rollout whose heads are weighted by the size of their attention's gradient.

    :math:`w_{l,h} \propto \lVert \partial y / \partial A_{l,h} \rVert`,
    :math:`\bar A_l = \sum_h w_{l,h} A_{l,h}` (arXiv 2504.19414).

    Parameters
    ----------
    trace : Trace
    gradient_norm : {"l1", "l2"}
        Norm of the gradient.
    update : {"rollout", "paper"}
        ``"rollout"``: :math:`R_l = \mathrm{rownorm}(\bar A_l + \alpha I) R_{l-1}`, the order of
        Abnar and Zuidema. ``"paper"``: :math:`R_l = R_{l-1} \bar A_l + \alpha I`, not
        renormalized, as the ports of the paper state it.
    residual_weight : float
        :math:`\alpha`, the weight of the identity, at least 0.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col].

    Notes
    -----
    A masked head has no gradient and weighs nothing; a layer whose heads are all masked passes on
    what it is given. This follows the paper's equations. The authors' published code computes
    something else: one weight vector for all layers, from the gradient of the last block's input;
    and it reads the [196, 197] block of head 0 as 197 pictures, so its maps are not those of the
    equations.
    """
    if gradient_norm not in ("l1", "l2"):
        raise ParameterError(f"gradient_norm is {gradient_norm!r}: choose 'l1' or 'l2'.")
    if update not in ("rollout", "paper"):
        raise ParameterError(f"update is {update!r}: choose 'rollout' or 'paper'.")
    check_residual_weight(residual_weight)

    def fused(layer: int) -> Iterator[tuple[slice, Tensor]]:
        weights = head_weights(trace, layer, gradient_norm)
        for rows, attention in trace.attention_chunks(layer):
            yield rows, torch.einsum("bh,bhqk->bqk", weights.to(attention), attention)

    if update == "rollout":
        return Attribution.from_layers(trace, chain(trace, fused, residual_weight), "gmar")
    start = trace.readout.weights()
    row, maps = start, []
    for layer in range(trace.num_layers):
        moved = residual_weight * start
        for rows, matrix in fused(layer):
            moved = moved + (row[:, None, rows].to(matrix) @ matrix)[:, 0]
        row = moved
        maps.append(row)
    return Attribution.from_layers(trace, maps, "gmar")


def head_weights(trace: Trace, layer: int, norm: GradientNorm = "l1") -> Tensor:
    """Weight of each head, [batch, head], summing to 1.

    Where the gradient is 0 the heads that are not masked weigh alike. A masked head weighs 0.
    """
    gradient = trace.output_gradient(layer)
    record = trace.layers[layer]
    v = record.v.detach().transpose(-2, -1)
    score = gradient.new_zeros(gradient.shape[:2])
    for part in gradient.split(record.rows_at_once, dim=2):
        piece = part @ v
        score += (piece.abs_() if norm == "l1" else piece.square_()).sum((-2, -1))
    if norm == "l2":
        score = score.sqrt()
    total = score.sum(-1, keepdim=True)
    left = (~record.masked).flatten(1).to(score)
    alike = left / left.sum(-1, keepdim=True).clamp_min(1)
    return torch.where(total > 0, score / total.clamp_min(torch.finfo(score.dtype).tiny), alike)
