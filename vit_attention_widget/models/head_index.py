"""Layers and heads by number: any integer that exists, NumPy's and torch's too."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from typing import SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..capture.masked_now import masked_now
from ..errors import ParameterError
from ..support.words import shown
from .vision_transformer import VisionTransformer

__all__ = [
    "Heads",
    "HeadsLike",
    "check_heads",
    "check_mask",
    "check_pairs",
    "head_index",
    "head_pairs",
    "heads_by_layer",
    "index_among",
    "layer_index",
    "whole_number",
]

Heads: TypeAlias = Mapping[int, Sequence[int]]
"""``{layer: [heads]}``, both 0-based and checked against a model."""

HeadsLike: TypeAlias = (
    Mapping[int, Iterable[SupportsIndex]]
    | Iterable[tuple[SupportsIndex, SupportsIndex]]
    | Iterable[Sequence[int]]
    | NDArray[np.integer]
    | Tensor
)
"""Heads as users give them: ``{layer: [heads]}``, or (layer, head) pairs in any iterable.

An array or tensor is [head, 2]. Layers may count from the end (-1 is the last), heads may not.
"""


_MOST = 1_000_000
"""More heads than any model has; an iterable without end is read no further."""


def layer_index(vit: VisionTransformer, layer: object) -> int:
    """The 0-based layer; negative layers count from the end, so -1 is the last.

    Raises
    ------
    ParameterError
        If the model has no such layer.
    """
    count = vit.num_layers
    index = index_among(layer, count, from_end=True)
    if index is None:
        raise ParameterError(
            f"There is no layer {shown(layer)}: {vit.name} has {count} layers, 0 to {count - 1}, "
            f"or -{count} to -1 from the end."
        )
    return index


def head_index(vit: VisionTransformer, layer: object, head: object) -> int:
    """The 0-based head of a layer; heads have no order, so they do not count from the end.

    Raises
    ------
    ParameterError
        If the model has no such layer, or the layer no such head.
    """
    in_layer = layer_index(vit, layer)
    count = vit.num_heads[in_layer]
    index = index_among(head, count)
    if index is None:
        negative = index_among(head, count, from_end=True) is not None
        raise ParameterError(
            f"There is no head {shown(head)} in layer {in_layer}: it has {count}, 0 to {count - 1}."
            + (" Only layers count from the end." if negative else "")
        )
    return index


def check_heads(vit: VisionTransformer, heads: HeadsLike) -> dict[int, tuple[int, ...]]:
    """The heads as sorted, unique ``{layer: (heads)}``; layers without any are left out.

    Raises
    ------
    ParameterError
        If a layer or head does not exist, or ``heads`` is in no form that is understood.
    """
    by_layer = groupby(sorted(set(check_pairs(vit, heads))), key=operator.itemgetter(0))
    return {layer: tuple(head for _, head in group) for layer, group in by_layer}


def check_pairs(vit: VisionTransformer, heads: HeadsLike) -> list[tuple[int, int]]:
    """The heads as (layer, head) pairs in the order given; errors are those of `check_heads`."""
    return _of_mapping(vit, heads.items()) if isinstance(heads, Mapping) else _of_pairs(vit, heads)


def check_mask(vit: VisionTransformer, head_mask: HeadsLike | None) -> dict[int, tuple[int, ...]]:
    """Heads to mask, as :func:`check_heads` returns them; none for None.

    Those that are masked already, by :func:`~vit_attention_widget.masked_heads` around the call,
    are among them: what is recorded says so wherever it is used.
    """
    said = {} if head_mask is None else check_heads(vit, head_mask)
    around = masked_now(vit.blocks)
    together = {
        layer: tuple(sorted({*said.get(layer, ()), *around.get(layer, ())}))
        for layer in sorted({*said, *around})
    }
    return together if around else said


def heads_by_layer(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """``{layer: [heads]}`` of (layer, head) pairs."""
    heads: dict[int, list[int]] = {}
    for layer, head in pairs:
        heads.setdefault(layer, []).append(head)
    return heads


def head_pairs(heads: Heads) -> list[tuple[int, int]]:
    """(layer, head) pairs of ``{layer: [heads]}``."""
    return [(layer, head) for layer, chosen in heads.items() for head in chosen]


def index_among(value: object, count: int, *, from_end: bool = False) -> int | None:
    """A number as a 0-based int, None unless it is an integer and one of ``count`` things."""
    index = whole_number(value)
    if index is None:
        return None
    if from_end and -count <= index < 0:
        return index + count
    return index if 0 <= index < count else None


def whole_number(value: object) -> int | None:
    """An integer of any library as Python's; None of anything else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value) if isinstance(value, SupportsIndex) else None
    except Exception:  # an array or tensor that is no single integer, or whatever a class raises
        return None


def _of_mapping(
    vit: VisionTransformer, layers: Iterable[tuple[object, object]]
) -> list[tuple[int, int]]:
    pairs = []
    for layer, chosen in layers:
        index, numbers = layer_index(vit, layer), _items(chosen)
        if numbers is None:
            raise ParameterError(
                f"The heads of layer {index} are {shown(chosen)}: give a list, "
                f"{{{index}: [heads]}}."
            )
        pairs += [(index, head_index(vit, index, head)) for head in numbers]
    return pairs


def _of_pairs(vit: VisionTransformer, heads: object) -> list[tuple[int, int]]:
    pairs = _items(heads)
    if pairs is None:
        raise ParameterError(
            f"The heads are {shown(heads)}: give a dict, {{layer: [heads]}}, or a list of "
            "(layer, head) pairs."
        )
    checked = []
    for number, pair in enumerate(pairs):
        both = _items(pair)
        if both is None or len(both) != 2:
            raise ParameterError(
                f"Item {number} of the heads is {shown(pair)}: (layer, head) was expected, as "
                "in [(0, 1), (-1, 2)]; or give a dict, {layer: [heads]}."
            )
        layer = layer_index(vit, both[0])
        checked.append((layer, head_index(vit, layer, both[1])))
    return checked


def _items(values: object) -> list[object] | None:
    """What an iterable holds; None of anything else. Arrays and tensors as Python's numbers."""
    if isinstance(values, np.ndarray | Tensor):
        return None if values.ndim == 0 else list(values.tolist())
    if not isinstance(values, Iterable) or isinstance(values, str | bytes):
        return None
    return list(islice(values, _MOST))
