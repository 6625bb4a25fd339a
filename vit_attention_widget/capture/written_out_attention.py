"""Recognise attention that is written out: ``softmax(q @ k.T * scale + bias) @ v``.

Modules without a fused path (or built while timm's fused attention was off) show only tensor
operations. This follows the scores from the product of queries and keys, through scaling, biases
and dropout, to the product with the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["ExplicitAttention", "Followed"]

_PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__}
_SUMS = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.add_, Tensor.__iadd__}
_SCALINGS = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__}
_DIVISIONS = {torch.div, Tensor.div, Tensor.__truediv__}
_SOFTMAXES = {torch.softmax, Tensor.softmax, F.softmax}
_VIEWS = {Tensor.view, Tensor.reshape, torch.reshape}
_UNCHANGED = {
    F.dropout,
    Tensor.to,
    Tensor.float,
    Tensor.type_as,
    Tensor.contiguous,
    Tensor.masked_fill,
}


@dataclass(frozen=True)
class Followed:
    """Scores (``weights`` False) or attention (True) on their way, and what they came from."""

    q: Tensor
    k: Tensor
    v: Tensor
    scale: float = 1.0
    bias: Tensor | None = None
    weights: bool = False


class ExplicitAttention:
    """Follows tensors by identity during one forward pass; holds at most one layer's scores."""

    def __init__(self) -> None:
        self._tensor: Tensor | None = None  # kept alive, so that its identity stays its own
        self._followed: Followed | None = None

    def clear(self) -> None:
        """Forget the tensor followed last."""
        self._tensor = self._followed = None

    def follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Followed | None:
        """Look at one call; what led to it is returned when it was the product with the values."""
        if not args or not isinstance(result, Tensor) or result.ndim not in (4, 5):
            return None
        known = self._followed if args[0] is self._tensor else None
        if result.ndim == 5 and (known is None or func not in _SUMS | _VIEWS):
            return None  # only masks of windows are added in five axes
        if func in _PRODUCTS:
            a, b = args[:2]
            if known is not None and known.weights:
                self.clear()
                return replace(known, v=b)
            if isinstance(b, Tensor) and b.ndim == 4 and a.shape[-1] == b.shape[-2]:
                k = b.transpose(-2, -1)
                self._tensor, self._followed = result, Followed(a, k, k)
            return None
        if known is None:
            return None
        following = _step(known, func, args, result)
        if following is None:
            self.clear()
        else:
            self._tensor, self._followed = result, following
        return None


def _step(known: Followed, func: Any, args: tuple[Any, ...], result: Tensor) -> Followed | None:
    if func in _SOFTMAXES:
        return replace(known, weights=True)
    if func in _SUMS and not known.weights:
        bias = args[1] if known.bias is None else known.bias + args[1]
        return replace(known, bias=bias)
    if func in _SCALINGS | _DIVISIONS and isinstance(args[1], int | float):
        factor = args[1] if func in _SCALINGS else 1 / args[1]
        bias = None if known.bias is None else known.bias * factor
        return replace(known, scale=known.scale * factor, bias=bias)
    if func in _SCALINGS and not known.weights and _is_one_a_head(args[1], known.q):
        bias = None if known.bias is None else known.bias * args[1]
        return replace(known, q=known.q * args[1], bias=bias)
    if func in _VIEWS and not known.weights:
        return _regrouped(known, args[0], result)
    if func is Tensor.masked_fill and not known.weights:
        mask = torch.zeros_like(args[1], dtype=result.dtype).masked_fill(*args[1:3])
        return replace(known, bias=mask if known.bias is None else known.bias + mask)
    if func in _UNCHANGED:
        return known
    return None


def _is_one_a_head(factor: Any, q: Tensor) -> bool:
    """Whether a factor of the scores is one of the queries just as well, as in cosine attention."""
    if not isinstance(factor, Tensor) or factor.ndim > 4:
        return False
    return factor.numel() == 1 or factor.shape[-3:] == (q.shape[-3], 1, 1)


def _regrouped(known: Followed, scores: Tensor, result: Tensor) -> Followed | None:
    """Follow scores whose axes before the heads are split (images, windows) or joined again."""
    if scores.shape[-3:] != result.shape[-3:]:
        return None
    bias = known.bias
    if bias is not None and bias.ndim > 3:
        own = bias.shape[-3:]
        if bias.shape[:-3].numel() == 1:
            bias = bias.reshape(own)
        else:  # one of several for each window, or for each image and window
            bias = bias.expand(*scores.shape[:-3], *own).reshape(*result.shape[:-3], *own)
    return replace(known, bias=bias)
