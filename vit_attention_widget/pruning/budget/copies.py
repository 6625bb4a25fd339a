"""Smaller copies of a model: how they are run, and which heads of the original they have."""

from __future__ import annotations

from torch import nn

from ...errors import UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.of_copy import as_of_original
from ..cut.record import pruning_of

__all__ = ["described_copy", "heads_left", "zeroed_heads"]

Head = tuple[int, int]


def described_copy(model: nn.Module, whole: VisionTransformer) -> VisionTransformer:
    """A copy of a described model, pruned or not, that returns what the original returns.

    Raises
    ------
    UnsupportedModelError
        If the description was made by hand and the copy cannot do without.
    """
    try:
        return as_of_original(describe(model), whole)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(
            f"A smaller copy of {whole.name} cannot be described by itself ({error}). Take "
            "pruning_curve, prune_heads, and adapt the smaller model as the original was."
        ) from error


def heads_left(small: VisionTransformer, whole: VisionTransformer) -> dict[Head, Head]:
    """The (layer, head) in the whole model of each head that a smaller copy has and uses."""
    pruning, before = pruning_of(small.model), pruning_of(whole.model)
    left: dict[Head, Head] = {}
    for layer, count in enumerate(small.num_heads):
        of_whole = before.numbers(layer, whole.num_heads[layer])
        for head, number in enumerate(pruning.numbers(layer, count)):
            if number not in pruning.zeroed.get(layer, ()):
                left[layer, head] = layer, of_whole.index(number)
    return left


def zeroed_heads(small: VisionTransformer) -> list[Head]:
    """Heads that a pruned model has but does not use, because they could not be cut."""
    pruning = pruning_of(small.model)
    return [
        (layer, head)
        for layer, count in enumerate(small.num_heads)
        for head, number in enumerate(pruning.numbers(layer, count))
        if number in pruning.zeroed.get(layer, ())
    ]
