"""The attention of a layer from those of its heads, each of which was computed by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from ..errors import UnsupportedModelError
from .calls import AttentionCall

__all__ = ["Head", "joined", "path_of"]


@dataclass(frozen=True)
class Head:
    """One head of one layer, of all images or of one.

    Attributes
    ----------
    call : AttentionCall
        With one head.
    restore : callable
        Head outputs [batch, 1, token, head_dim] in the layout in which the model goes on.
    """

    call: AttentionCall
    restore: Callable[[Tensor], Tensor]


def joined(heads: Sequence[Head], order: Sequence[tuple[int | None, int]]) -> AttentionCall:
    """The attention of a layer from that of each head."""
    calls = [head.call for head in heads]
    if len(calls) == 1:
        return calls[0]
    if len({call.weights is None for call in calls}) > 1:
        raise UnsupportedModelError(
            f"The heads of {path_of(heads)!r} are written in different ways, and only those "
            "written in one can be taken together."
        )
    images = sorted({image for image, _ in order if image is not None})

    def together(parts: Sequence[Tensor]) -> Tensor:
        in_order = sorted(range(len(parts)), key=lambda i: order[i])
        sorted_parts = [parts[i] for i in in_order]
        if not images:
            return torch.cat(sorted_parts, 1)
        each = len(parts) // len(images)
        rows = [torch.cat(sorted_parts[i * each : (i + 1) * each], 1) for i in range(len(images))]
        return torch.cat(rows)

    # Scales may differ: they are part of the queries then.
    is_same = len({call.scale for call in calls}) == 1
    queries = [call.q if is_same else call.q * call.scale for call in calls]
    weights = [call.weights for call in calls if call.weights is not None]
    bias = None
    if any(call.bias is not None for call in calls):
        bias = together([_added(call) for call in calls])
    return AttentionCall(
        path=path_of(heads),
        block=calls[0].block,
        q=together(queries),
        k=together([call.k for call in calls]),
        v=together([call.v for call in calls]),
        out=together([call.out for call in calls]),
        scale=calls[0].scale if is_same else 1.0,
        bias=bias,
        weights=together(weights) if weights else None,
    )


def _added(call: AttentionCall) -> Tensor:
    """What is added to the scores of a head, [batch, 1, query, key]."""
    shape = (call.q.shape[0], 1, call.q.shape[-2], call.k.shape[-2])
    if call.bias is None:
        return call.q.new_zeros(shape)
    if call.bias.dtype is torch.bool:
        return call.q.new_zeros(shape).masked_fill(~call.bias, float("-inf"))
    return call.bias.expand(shape)


def path_of(heads: Sequence[Head]) -> str:
    """What the paths of all heads begin with."""
    paths = [head.call.path.split(".") for head in heads]
    same = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return ".".join(parts[0] for parts in same)
