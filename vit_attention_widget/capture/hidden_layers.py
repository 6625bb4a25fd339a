"""Hidden layers of many tokens are computed again in the backward pass instead of being kept.

A block's activation function has the graph keep what it is given, the widest tensor of the block.
That is a linear layer of a norm, or of some rows of it, of tokens that the graph keeps for the
norm: from these it follows, equal to the last bit, for one more matrix product.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..errors import CaptureError
from .torch_call import Args, Kwargs, TorchFunction
from .writes import version_of

__all__ = ["HiddenLayers"]

_NORMS = {F.layer_norm, torch.layer_norm}
_ACTIVATIONS = {
    *(F.gelu, F.silu, F.relu, torch.sigmoid, Tensor.sigmoid),
    *(torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__),
}

_TOKENS_PER_CHANNEL = 4
"""From so many on attention has half of a block's products, and one more costs a fifth at most."""

_LARGE = 2**24
"""Hidden layers of fewer bytes are kept."""


class _Made:
    """A tensor that a call has made, of which it is known whether it is still the same."""

    def __init__(self, result: Tensor, needs: Iterable[object]) -> None:
        self._result = weakref.ref(result)
        self._version = version_of(result)
        self._needs = [(each, version_of(each)) for each in needs if isinstance(each, Tensor)]

    def is_still(self, tensor: object) -> bool:
        """Whether a tensor is this one, or a view of it, and nothing was written to it."""
        result = self._result()
        return (
            type(tensor) is Tensor
            and tensor.layout is torch.strided
            and result is not None
            and tensor.dtype is result.dtype  # not pairs of its numbers as complex ones
            and not tensor.is_neg()
            and tensor.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
            and version_of(tensor) == self._version
        )

    def check(self) -> None:
        """Raise where something was written to what made it."""
        for tensor, version in self._needs:
            _check_version(tensor, version)


class _Normed(_Made):
    """What a norm has made of tokens, which the graph keeps."""

    def __init__(self, result: Tensor, func: TorchFunction, args: Args, kwargs: Kwargs) -> None:
        self.tokens = args[0].detach()
        super().__init__(result, (self.tokens, *args[1:], *kwargs.values()))
        self._call = func, args[1:], kwargs

    def again(self) -> Tensor:
        self.check()
        func, args, kwargs = self._call
        normed: Tensor = func(self.tokens, *args, **kwargs)
        return normed


class _Hidden(_Made):
    """What a linear layer has made of that, or of some rows of it."""

    def __init__(self, result: Tensor, normed: _Normed, args: Args, kwargs: Kwargs) -> None:
        super().__init__(result, (*args[1:], *kwargs.values()))
        self._weights = args[1:], kwargs
        self._normed = normed
        self._rows = args[0].shape, args[0].stride(), args[0].storage_offset()

    def again(self) -> Tensor:
        self.check()
        args, kwargs = self._weights
        with torch.no_grad(), torch.autocast(self._normed.tokens.device.type, enabled=False):
            return F.linear(self._normed.again().as_strided(*self._rows), *args, **kwargs)


@dataclass(frozen=True)
class _View:
    """A hidden layer, or a part of it, to be computed again."""

    hidden: _Hidden
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int
    sums: Tensor
    """Of its rows: what is written past PyTorch's count (``.data``, NumPy) shows in them."""

    def again(self) -> Tensor:
        part = self.hidden.again().as_strided(self.shape, self.stride, self.offset)
        rounding = torch.finfo(part.dtype).eps ** 0.5 * self.sums.abs().max()
        if (_sums(part) - self.sums).abs().max() > rounding:
            raise CaptureError(
                "What a block's linear layer made of a norm was changed in a way that PyTorch does "
                "not count (.data or NumPy), and of so many tokens it is not kept: gradients "
                "cannot be had. Change it by operations of PyTorch, as in a hook that returns "
                "out * 0.5, or with out.mul_(0.5)."
            )
        return part


class HiddenLayers:
    """Runs operations, and follows the last norm and the last linear layer of one.

    Attributes
    ----------
    are_left_out : bool
        Whether there was one that the graph does not keep.
    """

    def __init__(self) -> None:
        self.are_left_out = False
        self._normed: _Normed | None = None
        self._hidden: _Hidden | None = None

    def clear(self) -> None:
        """Stop following."""
        self._normed = self._hidden = None

    def run(self, func: TorchFunction, args: Args, kwargs: Kwargs) -> object:
        """The result of an operation, which keeps no large hidden layer for the backward pass."""
        if func in _ACTIVATIONS and self._hidden and any(map(self._hidden.is_still, args)):
            with saved_tensors_hooks(self._pack, _unpack):
                return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if func in _NORMS:
            long = _is_long(args, result)
            self._normed = _Normed(result, func, args, kwargs) if long else None
        elif func is F.linear and self._normed and args and self._normed.is_still(args[0]):
            wide = result.nbytes >= _LARGE and result.shape[-1] > args[0].shape[-1]
            same = args[0].is_contiguous() and _are_of_one_type(
                result, self._normed.tokens, *args, *kwargs.values()
            )
            self._hidden = _Hidden(result, self._normed, args, kwargs) if wide and same else None
        return result

    def _pack(self, tensor: Tensor) -> tuple[Tensor, int] | _View:
        if self._hidden is not None and self._hidden.is_still(tensor):
            self.are_left_out, offset = True, int(tensor.storage_offset())
            return _View(
                self._hidden, tensor.shape, tensor.stride(), offset, _sums(tensor.detach())
            )
        return tensor, version_of(tensor)


def _unpack(packed: tuple[Tensor, int] | _View) -> Tensor:
    if isinstance(packed, _View):
        return packed.again()
    _check_version(*packed)
    return packed[0]


def _sums(tensor: Tensor) -> Tensor:
    with torch.no_grad():
        return tensor.sum(-1, dtype=torch.promote_types(tensor.dtype, torch.float32)).nan_to_num_()


def _check_version(tensor: Tensor, version: int) -> None:
    if version_of(tensor) != version:  # PyTorch looks itself where there are no hooks
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            "operation"
        )


def _are_of_one_type(*values: object) -> bool:
    """Whether tensors are, so that nothing was cast (autocast) that would have to be again."""
    return len({value.dtype for value in values if isinstance(value, Tensor)}) == 1


def _is_long(args: Args, result: Tensor) -> bool:
    """Whether a norm was given many tokens, and the graph keeps them."""
    kept = args and isinstance(args[0], Tensor) and args[0].requires_grad
    plain = type(result) is Tensor and not (result.is_nested or result.is_inference())
    return bool(kept and plain and result.ndim > 1) and (
        result.shape[-2] >= _TOKENS_PER_CHANNEL * result.shape[-1]
    )
