"""Smaller copies of a model: how they are run, and which heads of the original they have."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.of_copy import as_of_original
from ...tracing.run import trace
from ..cut.record import pruning_of

__all__ = ["described_copy", "heads_left", "unused_heads", "with_heads_seen"]

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


def with_heads_seen(small: VisionTransformer, image: Tensor) -> VisionTransformer:
    """The description of a smaller model with the heads that attend when it is run.

    Parameters
    ----------
    small : VisionTransformer
    image : Tensor
        Model input [channel, height, width].
    """
    return trace(small, image[None], gradients=False).model


def heads_left(small: VisionTransformer, whole: VisionTransformer) -> dict[Head, Head]:
    """The (layer, head) in the whole model of each head that a smaller copy has and uses."""
    pruning, before = pruning_of(small.model), pruning_of(whole.model)
    left: dict[Head, Head] = {}
    for layer, count in enumerate(small.num_heads):
        of_whole = before.numbers(layer, whole.num_heads[layer])
        for head, number in enumerate(pruning.numbers(layer, count)):
            # Where all heads were cut one may stand for them, without a number in the whole model.
            if number in of_whole and number not in pruning.zeroed.get(layer, ()):
                left[layer, head] = layer, of_whole.index(number)
    return left


def unused_heads(small: VisionTransformer, whole: VisionTransformer) -> list[Head]:
    """Heads that a pruned model has but does not use, because they could not be cut."""
    used = heads_left(small, whole)
    every = ((i, head) for i, count in enumerate(small.num_heads) for head in range(count))
    return [head for head in every if head not in used]
