"""PyTorch's flex_attention, step by step, so that its weights can be observed and differentiated.

It changes scores by any function (``score_mod``) and hides keys by another (``mask_mod``). Where
compiled code is off, a function mode sees it as one operator that is given both. The steps here are
those of PyTorch's own eager path in the same order, so the results are bit-equal; unlike that path
they have a derivative on every device.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import FrameType

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator

from .torch_call import Args

__all__ = ["ChangedScores", "asks_for_gradients", "flex_attention", "flex_is_loaded", "is_flex"]

_MODULE = "torch.nn.attention.flex_attention"
_REQUIRES_GRAD = Tensor.requires_grad.__get__  # type: ignore[attr-defined]

OnAttention = Callable[[Tensor, Tensor, Tensor, Tensor, float, "ChangedScores"], Tensor]
"""Takes q, k, v and head outputs, each [batch, head, token, head_dim], the scale, and what becomes
of the scores; returns the head outputs to go on with."""


def flex_is_loaded() -> bool:
    """Whether any code of this process may call flex_attention."""
    return _MODULE in sys.modules


def is_flex(func: object) -> bool:
    """Whether a function is the operator that flex_attention calls."""
    return isinstance(func, HigherOrderOperator) and func.name() == "flex_attention"


def asks_for_gradients(func: object) -> bool:
    """Whether flex_attention asks if it would have to be differentiated.

    It refuses to on a CPU, where its kernel has no derivative; the steps here have one.
    """
    if func != _REQUIRES_GRAD or not flex_is_loaded():
        return False
    check = getattr(sys.modules[_MODULE], "_validate_device", None)
    frame: FrameType | None = sys._getframe(1)
    while check is not None and frame is not None:
        if frame.f_code is check.__code__:
            return True
        if frame.f_globals.get("__name__") not in (__name__, _OBSERVER):
            return False
        frame = frame.f_back
    return False


_OBSERVER = f"{__package__}.function_mode"
"""The module whose frames stand between the question and the one who asks."""


@dataclass(frozen=True, eq=False)
class ChangedScores:
    """What flex_attention makes of scores, for any heads and queries.

    Attributes
    ----------
    score_mod, mask_mod : callable
        Of (score,) image, head, query and key.
    score_buffers, mask_buffers : tuple of Tensor
        Given to them besides.
    """

    score_mod: Callable[..., Tensor]
    mask_mod: Callable[..., Tensor]
    score_buffers: tuple[Tensor, ...] = ()
    mask_buffers: tuple[Tensor, ...] = ()

    def __call__(
        self, scores: Tensor, heads: slice | Sequence[int], queries: slice | Sequence[int]
    ) -> Tensor:
        """What becomes of the scores.

        Parameters
        ----------
        scores : Tensor
            ``q k^T * scale`` of these heads and queries, [batch, head, query, key].
        heads, queries : slice or list of int
            Which these are.

        Returns
        -------
        Tensor
            The same shape, minus infinity where a key is hidden.
        """
        images, keys = (torch.arange(scores.shape[i], device=scores.device) for i in (0, 3))
        indices = (images, _numbers(heads, scores, 1), _numbers(queries, scores, 2), keys)
        with _indexing():
            kept = _of_each(self.mask_mod, 0, self.mask_buffers)(*indices, *self.mask_buffers)
            changed = _of_each(self.score_mod, 1, self.score_buffers)(
                scores, *indices, *self.score_buffers
            )
        hidden = torch.tensor(-math.inf, dtype=scores.dtype, device=scores.device)
        return torch.where(kept, changed, hidden)

    @staticmethod
    def weights(scores: Tensor) -> Tensor:
        """The softmax; 0 for queries from which all keys are hidden."""
        weights: Tensor = torch._safe_softmax(scores, dim=-1)
        return weights


def flex_attention(args: Args, on_attention: OnAttention) -> tuple[Tensor, ...]:
    """Compute what the operator returns, reporting the attention.

    Parameters
    ----------
    args
        Those of the operator.
    on_attention : callable
        Called with the attention; the head outputs it returns replace the computed ones.

    Returns
    -------
    out, logsumexp, maximum : Tensor
        The last two for the base 2, as the kernel has them.
    """
    q, k, v, score_mod, block_mask, scale, _, *buffers = args
    score_buffers, mask_buffers = (tuple(b) for b in (*buffers, (), ())[:2])
    groups = q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(groups, 1).expand(len(q), -1, -1, -1) for t in (k, v))
    working = torch.float64 if q.dtype is torch.float64 else torch.float32
    change = ChangedScores(score_mod, block_mask[-1], score_buffers, mask_buffers)
    with torch.autocast(q.device.type, enabled=False):
        raw = (q.to(working) @ k.to(working).transpose(-2, -1) * scale).to(working)
        scores = change(raw, slice(None), slice(None))
        out = change.weights(scores).to(q.dtype) @ v.to(q.dtype)
    out = on_attention(q, k, v, out, scale, change)
    return out, scores.logsumexp(-1) / math.log(2), scores.amax(-1) / math.log(2)


def _numbers(chosen: slice | Sequence[int], scores: Tensor, axis: int) -> Tensor:
    """The numbers of chosen heads or queries."""
    if isinstance(chosen, slice):
        start = chosen.start or 0
        numbers = range(start, start + scores.shape[axis] * (chosen.step or 1), chosen.step or 1)
        return torch.tensor(list(numbers), device=scores.device)
    return torch.tensor(list(chosen), device=scores.device)


def _of_each(
    function: Callable[..., Tensor], scores: int, buffers: Sequence[Tensor]
) -> Callable[..., Tensor]:
    """A function of so many scores and of numbers, for all images, heads, queries and keys."""
    for axis in (3, 2, 1, 0):
        indices = [None, None, None, None]
        indices[axis] = 0  # type: ignore[call-overload]
        in_dims = (*[0] * scores, *indices, *[None] * len(buffers))
        function = torch.vmap(function, in_dims=in_dims)
    return function


def _indexing() -> AbstractContextManager[object]:
    """Lets such a function index tensors by the numbers it is given, as flex_attention does."""
    try:
        from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex
    except ImportError:
        return nullcontext()
    return TransformGetItemToIndex()
