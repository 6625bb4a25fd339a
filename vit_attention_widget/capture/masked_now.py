"""Which heads of a model this thread runs masked, by the ``with`` blocks that it is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn

__all__ = ["masked_now", "masking"]

_Masks = list[tuple[Mapping[nn.Module, int], Mapping[int, Sequence[int]]]]


class _Here(threading.local):
    def __init__(self) -> None:
        self.masks: _Masks = []


_here = _Here()


@contextmanager
def masking(blocks: Mapping[nn.Module, int], mask: Mapping[int, Sequence[int]]) -> Iterator[None]:
    """Take note of heads that are masked in the body: by layer, and the layer of each block."""
    masks = _here.masks
    masks.append((blocks, mask))
    try:
        yield
    finally:
        masks.pop()


def masked_now(blocks: Sequence[nn.Module]) -> dict[int, tuple[int, ...]]:
    """The heads of these blocks that are masked here and now, by their place in the list."""
    masked: dict[int, tuple[int, ...]] = {}
    for layers, mask in _here.masks:
        for place, block in enumerate(blocks):
            heads = mask.get(layers.get(block, -1), ())
            if heads:
                masked[place] = tuple(sorted({*masked.get(place, ()), *heads}))
    return masked
