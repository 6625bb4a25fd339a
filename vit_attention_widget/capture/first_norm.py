"""Which norm a block applies to its input before its attention."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..support.module_tree import modules_of

__all__ = ["NORM_FUNCTIONS", "FirstNorm", "are_equal", "looks_like_norm"]

NORM_FUNCTIONS = frozenset(
    function
    for name in ("layer_norm", "rms_norm", "group_norm", "batch_norm")
    for place in (F, torch)
    if (function := getattr(place, name, None)) is not None
)
"""What normalizes tokens where no module does."""


@dataclass
class _NormCall:
    module: nn.Module | None
    input: Tensor
    output: Tensor


class FirstNorm:
    """Watches one block and says which norm, if any, reads its input.

    A norm is known by what it computes (PyTorch's functions) or by what it is called, and the
    block's first norm by the numbers that it is given: neither a hook nor a wrapper that passes
    tokens on changes the answer.

    Attributes
    ----------
    has_attended : bool
        Whether the block has computed its attention.
    """

    def __init__(self) -> None:
        self._calls: list[_NormCall] = []
        self.has_attended = False

    def add(self, module: nn.Module | None, tokens: object, output: object) -> None:
        """Take note of a norm, unless the block has attended already.

        A module takes the place of the norms inside it.
        """
        if self.has_attended or not (isinstance(tokens, Tensor) and isinstance(output, Tensor)):
            return
        parts = [] if module is None else modules_of(module)
        self._calls = [call for call in self._calls if call.module not in parts]
        self._calls.append(_NormCall(module, tokens, output))

    def attended(self) -> None:
        """The block has computed its attention: norms that follow are not its first."""
        self.has_attended = True

    def output(self, block_input: object) -> tuple[Tensor | None, str | None]:
        """The first norm's output, or None; and why it is unclear, or None if it is clear.

        Parameters
        ----------
        block_input : Tensor
            What the block's own forward was given, [batch, token, dim].
        """
        if not isinstance(block_input, Tensor):
            return None, None
        # A shape that a function mode sees costs more than the comparison.
        with torch._C.DisableTorchFunction():
            shape = block_input.shape
            calls = [c for c in self._calls if c.input.shape == shape == c.output.shape]
        reading = [c for c in calls if are_equal(c.input, block_input)]
        if len(reading) == 1:
            return reading[0].output, None
        if not calls:
            return None, None
        if reading:
            return None, f"{len(reading)} norms read what the block is given"
        return None, "the norms before its attention do not read what the block is given"


def are_equal(one: object, other: object) -> bool:
    """Whether two tensors hold the same numbers in the same shape."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    with torch._C.DisableTorchFunction():
        return one is other or (one.shape == other.shape and torch.equal(one, other))


def looks_like_norm(module: nn.Module, path: str) -> bool:
    """Whether a module is a norm by its class or by the name that its parent gives it."""
    return _sounds_like_norm(type(module).__name__, path)


@lru_cache(4096)
def _sounds_like_norm(kind: str, path: str) -> bool:
    name = path.rpartition(".")[2].lower()
    return "norm" in kind.lower() or "norm" in name or name.startswith("ln")
