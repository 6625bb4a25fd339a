"""Linear layers with a part of another's weights."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["linear_of"]


def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with copies of these weights; either size may be 0."""
    # On no device, where weights are not drawn: the user's random numbers stay as they are.
    linear = nn.Linear(1, 1, bias=bias is not None, device="meta", dtype=weight.dtype)
    linear.out_features, linear.in_features = weight.shape
    linear.weight = nn.Parameter(weight.detach().clone(), weight.requires_grad)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone(), bias.requires_grad)
    return linear
