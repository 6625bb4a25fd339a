"""Recognize attention that is written out as ``softmax(q @ k.T * scale + bias) @ v``.

Modules without a fused path (or built while timm's fused attention was off) consist of tensor
operations only. The scores are followed from the product of queries and keys through scaling,
biases and dropout to the product with the values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .attention_product import is_close, scores_of
from .torch_call import Args, TorchFunction
from .writes import version_of

__all__ = ["PartialAttention", "WrittenOutAttention"]

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
class PartialAttention:
    """What is known of an attention while it is being computed.

    Attributes
    ----------
    q, k, v : Tensor
        [batch, head, token, head_dim]; ``v`` is valid once the attention is complete.
    scale : float
    bias : Tensor or None
        As in ``softmax(q k^T * scale + bias)``.
    normalized : bool
        Whether the softmax has been taken.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    scale: float = 1.0
    bias: Tensor | None = None
    normalized: bool = False

    def explains(self, weights: Tensor) -> bool:
        """Whether two rows of the attention are those of the weights that multiply the values."""
        windows = 1 if self.bias is None else self.bias.shape[:-3].numel()
        if weights.ndim != 4 or windows not in (1, len(self.q)):
            return True  # biases of windows, which repeat for each image
        rows = [0, weights.shape[-2] // 2]
        scores = scores_of(self.q[..., rows, :].detach(), self.k.detach(), self.scale)
        if self.bias is not None:
            bias = self.bias.detach()
            scores = scores + (bias if bias.shape[-2] == 1 else bias[..., rows, :])
        seen = weights[..., rows, :].detach()
        return is_close(scores.softmax(-1), seen, self.q, self.k)


class WrittenOutAttention:
    """Follows scores by the identity of their tensor; holds on to one layer's at most."""

    def __init__(self) -> None:
        self._scores: Tensor | None = None  # kept alive, so that no other tensor gets its identity
        self._version = 0
        self._partial: PartialAttention | None = None

    @property
    def follows(self) -> bool:
        """Whether there are scores to follow; until then it is products that matter."""
        return self._scores is not None

    def clear(self) -> None:
        """Stop following."""
        self._scores = self._partial = None

    def follow(self, func: TorchFunction, args: Args, result: object) -> PartialAttention | None:
        """Take note of one call of a tensor function.

        Parameters
        ----------
        func, args, result
            The function, its positional arguments, and what it returned.

        Returns
        -------
        PartialAttention or None
            The whole attention if this call was its product with the values.
        """
        if not args or not isinstance(result, Tensor) or result.ndim not in (4, 5):
            return None
        partial = self._partial if self._are_scores(args[0], result) else None
        if result.ndim == 5 and (partial is None or func not in _SUMS | _VIEWS):
            return None  # only the masks of windows are added with five axes
        if func in _PRODUCTS:
            a, b = args[:2]
            if partial is not None and partial.normalized:
                self.clear()
                return replace(partial, v=b)
            if isinstance(b, Tensor) and b.ndim == 4 and a.shape[-1] == b.shape[-2]:
                k = b.transpose(-2, -1)
                self._hold(result, PartialAttention(a, k, k))
            return None
        if partial is None:
            return None
        advanced = _advanced(partial, func, args, result)
        if advanced is None:
            self.clear()
        else:
            self._hold(result, advanced)
        return None

    def _hold(self, scores: Tensor, partial: PartialAttention) -> None:
        self._scores, self._version, self._partial = scores, version_of(scores), partial

    def _are_scores(self, tensor: object, result: Tensor) -> bool:
        """Whether a tensor is what is followed, and nothing wrote into it but this operation."""
        if tensor is not self._scores or self._scores is None:
            return False
        return version_of(self._scores) - (result is tensor) == self._version


def _advanced(
    partial: PartialAttention, func: TorchFunction, args: Args, result: Tensor
) -> PartialAttention | None:
    """The attention after a function was applied to its scores or weights; None if unknown."""
    if func in _SOFTMAXES:
        return replace(partial, normalized=True)
    if partial.normalized:  # what is done to the weights now cannot be said of the scores
        return partial if func in _UNCHANGED - {Tensor.masked_fill} else None
    if func in _SUMS:
        bias = args[1] if partial.bias is None else partial.bias + args[1]
        return replace(partial, bias=bias)
    if func in _SCALINGS | _DIVISIONS and isinstance(args[1], int | float):
        factor = args[1] if func in _SCALINGS else 1 / args[1]
        bias = None if partial.bias is None else partial.bias * factor
        return replace(partial, scale=partial.scale * factor, bias=bias)
    if func in _SCALINGS and _is_per_head(args[1], partial.q):
        bias = None if partial.bias is None else partial.bias * args[1]
        return replace(partial, q=partial.q * args[1], bias=bias)
    if func in _VIEWS:
        return _regrouped(partial, args[0], result)
    if func is Tensor.masked_fill:
        mask = torch.zeros_like(args[1], dtype=result.dtype).masked_fill(*args[1:3])
        return replace(partial, bias=mask if partial.bias is None else partial.bias + mask)
    if func in _UNCHANGED:
        return partial
    return None


def _is_per_head(factor: object, q: Tensor) -> bool:
    """Whether a factor is one number per head, as in cosine attention, and so can scale ``q``."""
    if not isinstance(factor, Tensor) or factor.ndim > 4:
        return False
    return factor.numel() == 1 or factor.shape[-3:] == (q.shape[-3], 1, 1)


def _regrouped(
    partial: PartialAttention, scores: Tensor, result: Tensor
) -> PartialAttention | None:
    """Follow scores whose axes before the heads (images, windows) are split or joined."""
    if scores.shape[-3:] != result.shape[-3:]:
        return None
    bias = partial.bias
    if bias is not None and bias.ndim > 3:
        per_window = bias.shape[-3:]
        if bias.shape[:-3].numel() == 1:
            bias = bias.reshape(per_window)
        else:  # different for each window, or for each image and window
            bias = bias.expand(*scores.shape[:-3], *per_window)
            bias = bias.reshape(*result.shape[:-3], *per_window)
    return replace(partial, bias=bias)
