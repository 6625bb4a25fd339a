"""Raw attention of the readout's query, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ParameterError
from ..readout import readout_queries
from ..trace import Trace
from .attribution import Attribution, attribution

__all__ = ["attention", "fuse_heads"]


def attention(trace: Trace, *, head_fusion: str = "mean") -> Attribution:
    """Attention from the class token (without one: the mean over patches) to each patch.

    It knows no class. The last layer of many ViTs peaks off the object; see it beside others.

    Parameters
    ----------
    trace : Trace
    head_fusion : {"mean", "max", "min"}
        How the heads of a layer become one map.

    Returns
    -------
    Attribution
        ``values`` [batch, layer, row, col], each the attention of that layer alone, in [0, 1].
    """
    queries = readout_queries(trace)
    maps = [
        fuse_heads(trace.attention(layer, query=queries), head_fusion).mean(1)
        for layer in range(trace.num_layers)
    ]
    return attribution(trace, maps, "attention", by_class=False)


def fuse_heads(weights: Tensor, how: str) -> Tensor:
    """[batch, head, query, key] -> [batch, query, key] by "mean", "max" or "min"."""
    if how == "mean":
        return weights.mean(1)
    if how in ("max", "min"):
        return torch.amax(weights, 1) if how == "max" else torch.amin(weights, 1)
    raise ParameterError(f"head_fusion is {how!r}: choose 'mean', 'max' or 'min'.")
