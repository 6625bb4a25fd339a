"""Recognize attention by what it does: a matrix whose rows sum to 1 multiplies the values.

However the scores were made and normalized, this product is where tokens look at each other. It may
be written by ``matmul``, ``bmm`` over images and heads in one axis, or ``einsum``, and either way
round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .torch_call import Args, TorchFunction

__all__ = [
    "PRODUCTS",
    "WEIGHINGS",
    "AttentionProduct",
    "attention_product",
    "is_close",
    "not_attention",
    "pooling_product",
    "scores_of",
    "tolerance_of",
    "weighs_tokens",
]

_EINSUMS = {torch.einsum, torch.functional.einsum}
WEIGHINGS = {torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, *_EINSUMS}
"""Functions by which tokens may be weighed before they are added up."""

PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, *_EINSUMS}
"""The functions by which values may be multiplied."""

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AttentionProduct:
    """A product of a square matrix with values, in one layout.

    Attributes
    ----------
    weights : Tensor
        [batch, head, query, key].
    v, out : Tensor
        [batch, head, token, head_dim].
    restore : callable
        ``out``, or what replaces it, in the layout in which the model goes on.
    """

    weights: Tensor
    v: Tensor
    out: Tensor
    restore: Change


def attention_product(
    func: TorchFunction, args: Args, result: object, batch: int
) -> AttentionProduct | None:
    """A call of a tensor function as a product with values, if it has the shape of one.

    Parameters
    ----------
    func, args, result
        One of ``PRODUCTS``, its positional arguments, and what it returned.
    batch : int
        Number of images, by which an axis of images and heads together is split.
    """
    if not isinstance(result, Tensor):
        return None
    operands = _of_einsum(args, result) if func in _EINSUMS else _of_matmul(args, result)
    if operands is None:
        return None
    weights, v, out, restore = operands
    if weights.ndim == 2:  # one head of one image
        weights, v, out = (t[None, None] for t in (weights, v, out))
        return AttentionProduct(weights, v, out, lambda heads: restore(heads[0, 0]))
    if weights.ndim == 3:
        if batch < 1 or weights.shape[0] % batch:
            return None
        weights, v, out = (t.unflatten(0, (batch, -1)) for t in (weights, v, out))
        return AttentionProduct(weights, v, out, lambda heads: restore(heads.flatten(0, 1)))
    if weights.shape[0] != batch == weights.shape[1]:  # heads first
        weights, v, out = (t.transpose(0, 1) for t in (weights, v, out))
        return AttentionProduct(weights, v, out, lambda heads: restore(heads.transpose(0, 1)))
    return AttentionProduct(weights, v, out, restore)


def pooling_product(args: tuple[object, ...], result: object) -> AttentionProduct | None:
    """A product by which tokens [batch, token, dim] may be pooled with weights of their own.

    Parameters
    ----------
    args, result
        Of ``matmul`` or ``bmm``: weights [batch, vector, token] times tokens, or both transposed.

    Returns
    -------
    AttentionProduct or None
        Of one query in each head, a head for each vector.
    """
    first, second = args[:2] if len(args) > 1 else (None, None)
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return None
    if not isinstance(result, Tensor) or first.ndim != 3 or second.ndim != 3:
        return None
    if first.shape[1] < first.shape[2]:
        vectors, tokens, out = first, second, result
        back: Change = lambda heads: heads[:, :, 0]  # noqa: E731
    if first.shape[1] >= first.shape[2] or not_attention(first):
        vectors, tokens, out = second.mT, first.mT, result.mT
        back = lambda heads: heads[:, :, 0].mT  # noqa: E731
    if vectors.shape[1] >= vectors.shape[2] or not_attention(vectors):
        return None
    v = tokens[:, None].expand(-1, vectors.shape[1], -1, -1)
    return AttentionProduct(vectors[:, :, None], v, out[:, :, None], back)


def weighs_tokens(args: tuple[object, ...]) -> bool:
    """Whether shares of 1, not all alike, [batch, token] or with an axis of 1, weigh tokens."""
    tensors = [t for t in args if isinstance(t, Tensor) and t.ndim in (2, 3)]
    for shares in tensors:
        of_images = shares.squeeze(-1).squeeze(1) if shares.ndim == 3 else shares
        if of_images.ndim != 2 or of_images.shape[1] < 3:
            continue
        weighed = any(
            t.ndim == 3 and t.shape[:2] == of_images.shape for t in tensors if t is not shares
        )
        if weighed and of_images.is_floating_point() and not_attention(of_images) is None:
            low, high = of_images.detach().aminmax()
            return bool(high > low * 1.001)
    return False


_Operands = tuple[Tensor, Tensor, Tensor, Change]
"""Weights, values and their product, [batch, head, ...], both in one axis, or neither; and the way
back."""


def _of_matmul(args: Args, result: Tensor) -> _Operands | None:
    first, second = args[:2] if len(args) > 1 else (None, None)
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return None
    if first.ndim != second.ndim or first.ndim not in (2, 3, 4):
        return None
    if first.shape[-1] == first.shape[-2] > 1:
        return first, second, result, lambda out: out
    if second.shape[-1] == second.shape[-2] > 1:  # values, transposed, times weights, transposed
        return second.mT, first.mT, result.mT, lambda out: out.mT
    return None


def _of_einsum(args: Args, result: Tensor) -> _Operands | None:
    equation, *operands = args
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    if not isinstance(equation, str) or len(operands) != 2 or "->" not in equation:
        return None
    terms, target = equation.replace(" ", "").split("->")
    if "." in terms or terms.count(",") != 1:
        return None
    pairs = list(zip(terms.split(","), operands, strict=True))
    for (labels, tensor), (others, other) in (pairs, pairs[::-1]):
        summed = [c for c in labels if c in others and c not in target]
        queries = [c for c in labels if c not in others and c in target]
        shared = [c for c in target if c in labels and c in others]
        features = [c for c in others if c not in labels and c in target]
        counts = [len(summed), len(queries), len(features)]
        if counts != [1, 1, 1] or len(shared) > 2:
            continue
        (j,), (i,), (d,) = summed, queries, features
        if tensor.shape[labels.index(i)] != tensor.shape[labels.index(j)]:
            continue
        order = [*shared, i, d]
        back = partial(_permuted, [order.index(c) for c in target])
        return (
            tensor.permute([labels.index(c) for c in (*shared, i, j)]),
            other.permute([others.index(c) for c in (*shared, j, d)]),
            result.permute([target.index(c) for c in order]),
            back,
        )
    return None


def _permuted(order: list[int], out: Tensor) -> Tensor:
    return out.permute(order)


def not_attention(weights: Tensor) -> str | None:
    """Why a matrix [batch, head, query, key] is not attention; None if its rows are shares of 1."""
    weights = weights.detach()
    sums = weights.sum(-1)
    low, high = float(sums.min()), float(sums.max())
    if not is_close(sums, torch.ones_like(sums)):
        span = f"to {low:.3g}" if high - low < 1e-3 else f"to between {low:.3g} and {high:.3g}"
        return f"the values are multiplied by a matrix whose rows sum {span}, not to 1"
    if float(weights.min()) < 0:
        return "the values are multiplied by a matrix with negative entries"
    return None


def scores_of(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """``q k^T * scale`` in at least float32: weights of scores rounded further would be others."""
    with torch.autocast(q.device.type, enabled=False):
        return (_at_least_float32(q) * scale) @ _at_least_float32(k).mT


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype is torch.float64 else values.float()


def is_close(values: Tensor, expected: Tensor, *made_of: Tensor) -> bool:
    """Whether values are equal but for rounding, in their types and those they are made of."""
    tolerance = tolerance_of(values, expected, *made_of)
    return bool((values - expected).norm() <= tolerance * expected.norm().clamp_min(1e-12))


def tolerance_of(*tensors: Tensor) -> float:
    """The relative difference that rounding may make in the coarsest of these."""
    return max(_tolerance(tensor) for tensor in tensors)


def _tolerance(tensor: Tensor) -> float:
    if tensor.dtype is torch.float64:  # some models take the softmax in float32 even so
        return 1e-6
    if tensor.dtype is torch.float32:  # matrix products on GPUs may run in TF32, of 10 bits
        return 1e-4 if tensor.device.type == "cpu" else 1e-2
    return 5e-2
