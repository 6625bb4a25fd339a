"""DAAM: Dynamic Accumulated Attention Map (Liao, Gao and Zhang, Pattern Recognition 165, 2025)."""

from __future__ import annotations

import torch

from ...support.deprecation import renamed_keywords
from ...tracing.trace import Trace
from ..attribution import Attribution

__all__ = ["daam"]


@renamed_keywords({"norm": "normalize"})
def daam(trace: Trace, *, normalize: bool = False, signed: bool | None = None) -> Attribution:
    r"""The class token's head output taken apart by key patch, weighted by gradient, summed up.

    For each block: :math:`M_l[n] = \mathrm{relu}\big(\sum_{h,c} \mathrm{relu}(\alpha_{h,c})
    A_h[0,n] V_h[n,c]\big)` with :math:`\alpha = \partial y / \partial O_l[0]`, the gradient at
    the input of the output projection; the map after layer l is :math:`M_0 + \dots + M_l`.

    Parameters
    ----------
    trace : Trace
    normalize : bool
        Min-max each block's map before adding (off in the authors' code, and here).
    signed : bool, optional
        Keep the sign of alpha. By default only for the target of a
        :class:`~vit_attention_widget.targets.MemoryBank`, as the authors do for self-supervised
        models.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], at least 0 and growing from layer to layer.

    Notes
    -----
    Where not the class token alone is read out (average or attention pooling; not in the paper) the
    sum runs over all tokens that are, each with its own gradient, in the class token's place.
    """
    signed = trace.target.signed if signed is None else signed
    queries = trace.readout.queries
    total = None
    maps = []
    for layer in range(trace.num_layers):
        record = trace.layers[layer]
        alpha = trace.output_gradient(layer)[:, :, queries]
        if not signed:
            alpha = alpha.relu()
        v = record.v.detach()
        block = v.new_zeros(v.shape[0], v.shape[2])
        size = record.rows_at_once
        for start in range(0, len(queries), size):
            part = queries[start : start + size]
            attention = trace.attention(layer, query=part).to(v)
            weighted = alpha[:, :, start : start + size] @ v.transpose(-2, -1)
            block = block + (attention * weighted).sum((1, 2))
        block = block.relu()
        block[:, : trace.tokens.num_prefix] = 0
        if normalize:
            patches = block[:, trace.tokens.num_prefix :]
            low, high = patches.amin(-1, keepdim=True), patches.amax(-1, keepdim=True)
            block = torch.where(high > low, (block - low) / (high - low), 0)
        total = block if total is None else total + block
        maps.append(total)
    return Attribution.from_layers(trace, maps, "daam")
