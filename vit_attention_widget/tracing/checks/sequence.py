"""Blocks run one after the other, in the order of their list."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch

from ...errors import UnsupportedModelError
from ...models import VisionTransformer
from ..layer_record import LayerRecord

__all__ = ["check_chain", "check_order", "heads_as_seen"]


def check_order(ran: Iterable[int], vit: VisionTransformer) -> None:
    """Raise :class:`UnsupportedModelError` unless the blocks ran in the order of the list."""
    order = list(ran)
    if order != sorted(order):
        raise UnsupportedModelError(
            f"The blocks of {vit.name} ran in the order {order} of their list, so its layers are "
            "not from first to last: give the blocks to vaw.adapt in the order in which they run."
        )


def check_chain(layers: Sequence[LayerRecord], vit: VisionTransformer) -> None:
    """Raise unless each block is given what the one before returned.

    Raises
    ------
    UnsupportedModelError
        If something happens in between, so that upper layers cannot be run again by themselves.
    """
    for layer, (lower, upper) in enumerate(pairwise(layers)):
        before, after = lower.output, upper.input
        if before is not after and not torch.equal(before, after):
            raise UnsupportedModelError(
                f"{vit.name} changes its tokens between block {layer} and block {layer + 1} of "
                "those listed, so its layers cannot be run again by themselves. Use what does not "
                'need that: daam, gmar, rollout, attention, or metric="taylor".'
            )


def heads_as_seen(vit: VisionTransformer, layers: Sequence[LayerRecord]) -> VisionTransformer:
    """The description with as many heads as were seen; itself where it fits."""
    heads = tuple(record.v.shape[1] for record in layers)
    if heads == tuple(vit.num_heads):
        return vit
    seen = copy.copy(vit)
    seen.num_heads = heads
    return seen
