"""A first-order estimate of every head's importance from one backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from ..tracing.trace import Trace

__all__ = ["taylor"]


def taylor(trace: Trace) -> Tensor:
    r""":math:`|\sum O \, \partial y / \partial O|` of every head, [batch, layer, head], at least 0.

    Michel et al. 2019, eq. 1, with y the target's logit. Masked heads are NaN.
    """
    widest = max(trace.num_heads)
    # float32 at least: half precision would round most differences away
    values = trace.probabilities.new_full((trace.batch_size, trace.num_layers, widest), torch.nan)
    for layer, record in enumerate(trace.layers):
        product = record.out.detach().to(values) * trace.output_gradient(layer)
        values[:, layer, : record.out.shape[1]] = product.sum((-2, -1)).abs()
    for layer, heads in trace.head_mask.items():
        values[:, layer, list(heads)] = torch.nan
    return values
