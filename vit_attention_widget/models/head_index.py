"""Layers and heads by number: any integer that exists, NumPy's too, and nothing else."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import ParameterError
from .vision_transformer import VisionTransformer

__all__ = ["Heads", "check_heads", "head_index", "heads_by_layer", "layer_index"]

Heads: TypeAlias = Mapping[int, Sequence[int]]
"""``{layer: [heads]}``, both 0-based."""


def layer_index(vit: VisionTransformer, layer: Any) -> int:
    """The layer as an int, or :class:`ParameterError` if the model has no such layer."""
    index = _integer(layer)
    if index is None or not 0 <= index < vit.num_layers:
        raise ParameterError(
            f"There is no layer {layer!r}: {vit.name} has {vit.num_layers} layers, "
            f"0 to {vit.num_layers - 1}."
        )
    return index


def head_index(vit: VisionTransformer, layer: int, head: Any) -> int:
    """The head as an int, or :class:`ParameterError` if the layer has no such head."""
    index, count = _integer(head), vit.num_heads[layer]
    if index is None or not 0 <= index < count:
        raise ParameterError(
            f"There is no head {head!r} in layer {layer}: it has {count}, 0 to {count - 1}."
        )
    return index


def check_heads(vit: VisionTransformer, heads: Heads) -> dict[int, tuple[int, ...]]:
    """Sorted, unique ``{layer: (heads)}``; raises :class:`ParameterError` where none exists."""
    if not isinstance(heads, Mapping):
        raise ParameterError(f"The heads are {heads!r}: give a dict, {{layer: [heads]}}.")
    checked: dict[int, tuple[int, ...]] = {}
    for layer, chosen in heads.items():
        index = layer_index(vit, layer)
        if not isinstance(chosen, Iterable) or isinstance(chosen, str):
            raise ParameterError(
                f"The heads of layer {index} are {chosen!r}: give a list, {{{index}: [heads]}}."
            )
        numbers = tuple(sorted({head_index(vit, index, head) for head in chosen}))
        if numbers:
            checked[index] = numbers
    return checked


def heads_by_layer(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """``{layer: [heads]}`` of (layer, head) pairs."""
    heads: dict[int, list[int]] = {}
    for layer, head in pairs:
        heads.setdefault(layer, []).append(head)
    return heads


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
