"""Whether somebody wrote into a tensor since it was seen."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["version_of", "versions_of"]


def version_of(tensor: Tensor) -> int:
    """How often a tensor, or one whose memory it shares, was written into.

    Tensors of inference mode do not count it: 0.
    """
    return versions_of((tensor,))[0]


def versions_of(tensors: Iterable[Tensor]) -> list[int]:
    """The same of several."""
    with torch._C.DisableTorchFunction():
        return [0 if tensor.is_inference() else tensor._version for tensor in tensors]
