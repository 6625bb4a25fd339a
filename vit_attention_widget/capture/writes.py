"""Whether somebody wrote into a tensor since it was seen."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["version_of"]


def version_of(tensor: Tensor) -> int:
    """How often a tensor, or one whose memory it shares, was written into.

    Tensors of inference mode do not count it: 0.
    """
    with torch._C.DisableTorchFunction():
        return 0 if tensor.is_inference() else tensor._version
