"""Raw attention of the readout's query, layer by layer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ...errors import ParameterError
from ...tracing.trace import Trace
from ..attribution import Attribution

__all__ = ["HeadFusion", "attention", "fuse_heads"]

HeadFusion = Literal["mean", "max", "min"]
"""How the heads of a layer become one."""


def attention(trace: Trace, *, head_fusion: HeadFusion = "mean") -> Attribution:
    """Attention from the class token (without one: the mean over patches) to each patch.

    Class-agnostic. In many ViTs the last layer peaks off the object: compare it with others.
    Heads that are masked are left out: the map is that of the model without them.

    Parameters
    ----------
    trace : Trace
    head_fusion : {"mean", "max", "min"}
        How the heads of a layer become one map.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], each the attention of that layer alone, in [0, 1];
        0 in a layer whose heads are all masked.

    Raises
    ------
    ParameterError
        If ``head_fusion`` is none of these.
    """
    queries = trace.readout.queries
    maps = [
        fuse_heads(trace.attention(layer, query=queries), head_fusion, record.masked).mean(1)
        for layer, record in enumerate(trace.layers)
    ]
    return Attribution.from_layers(trace, maps, "attention", class_agnostic=True)


def fuse_heads(weights: Tensor, how: HeadFusion, masked: Tensor) -> Tensor:
    """One matrix of the heads of a layer.

    Parameters
    ----------
    weights : Tensor
        [batch, head, query, key].
    how : {"mean", "max", "min"}
        Over the heads that are not masked.
    masked : Tensor
        [batch, head, 1, 1] bool: masked heads, which are left out.

    Returns
    -------
    Tensor
        [batch, query, key]; 0 where no head is left.

    Raises
    ------
    ParameterError
        If ``how`` is none of these.
    """
    if how not in ("mean", "max", "min"):
        raise ParameterError(f"head_fusion is {how!r}: choose 'mean', 'max' or 'min'.")
    if not weights.shape[1]:  # a layer whose heads were all cut out
        return weights.new_zeros(weights.shape[0], *weights.shape[2:])
    if not masked.any():  # no copy is made
        if how == "mean":
            return weights.mean(1)
        return weights.amax(1) if how == "max" else weights.amin(1)
    if how == "mean":
        return weights.masked_fill(masked, 0).sum(1) / (~masked).sum(1).clamp_min(1)
    if how == "max":
        fused = weights.masked_fill(masked, -torch.inf).amax(1)
    else:
        fused = weights.masked_fill(masked, torch.inf).amin(1)
    return fused.masked_fill(masked.all(1), 0)
