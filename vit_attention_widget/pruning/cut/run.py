"""Cut heads out of a model for good."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.head_index import HeadsLike, check_heads
from .pruned_attention import PrunedAttention, can_cut, why_unknown
from .record import Pruning, pruning_of

__all__ = ["prune_heads"]


def prune_heads(model: nn.Module | VisionTransformer, heads: HeadsLike) -> nn.Module:
    """A copy of the model without some of its heads: smaller and faster, for good.

    Its logits are those of ``masked_heads(model, heads)`` up to rounding. It can be traced,
    exported, saved by :func:`save_pruned`, and pruned again (heads are then numbered among those
    that are left). A head whose output is normalized together with that of others cannot be cut:
    the weights of its values are set to zero instead, and :func:`pruning_of` says so.

    Parameters
    ----------
    model : nn.Module
        A supported model; it is not changed.
    heads : dict or iterable of (layer, head)
        ``{layer: [heads]}`` or pairs, as in ``importance.ranking()[-4:]``; layer -1 is the last.
        All heads of a layer may go.

    Returns
    -------
    nn.Module
        Of the same class as ``model``.

    Raises
    ------
    ParameterError
        If a layer or head does not exist.
    UnsupportedModelError
        If a block's attention is of unknown form, or was changed (adapters, hooks).

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> small = vaw.prune_heads(model, {0: [1], 2: [0, 3]})
    >>> small.blocks[2].attn.num_heads, model.blocks[2].attn.num_heads
    (2, 4)
    """
    vit = describe(model)
    chosen = check_heads(vit, heads)
    if vit.library != "timm":
        raise UnsupportedModelError(
            f"{vit.name} is not one of timm's models: only theirs can be cut. Its heads can be "
            "masked (masked_heads)."
        )
    small = copy.deepcopy(vit.model)
    cut, zeroed = dict[int, tuple[int, ...]](), dict[int, tuple[int, ...]]()
    blocks: list[Any] = describe(small).blocks
    for layer, pruned in chosen.items():
        attention = getattr(blocks[layer], "attn", blocks[layer])
        reason = why_unknown(attention)
        if reason is not None:
            raise UnsupportedModelError(
                f"Layer {layer} of {vit.name} cannot be pruned for good: {reason}. Mask its heads "
                "instead (masked_heads), or first merge or remove what was added to it."
            )
        original = _original_heads(attention)
        if can_cut(attention):
            keep = [head for head in range(attention.num_heads) if head not in pruned]
            blocks[layer].attn = PrunedAttention(attention, keep).train(attention.training)
            cut[layer] = tuple(original[head] for head in pruned)
        else:
            _zero_values(attention, pruned)
            zeroed[layer] = tuple(original[head] for head in pruned)
    pruning = pruning_of(vit.model) | Pruning(cut, zeroed)
    small._vaw_pruning = pruning  # type: ignore[assignment]
    return small


def _original_heads(attention: Any) -> list[int]:
    """The number that each head of an attention had in the original."""
    if isinstance(attention, PrunedAttention):
        return [int(head) for head in attention.kept]
    return list(range(attention.num_heads))


def _zero_values(attention: Any, heads: tuple[int, ...]) -> None:
    """Zero the weights of the values of some heads, so that their outputs are exactly zero."""
    if getattr(attention, "num_kv_groups", 1) > 1:
        raise UnsupportedModelError(
            f"{type(attention).__name__} shares values between heads and normalizes their outputs "
            "together: its heads can be masked (masked_heads), but not pruned for good."
        )
    fused = getattr(attention, "qkv", None)
    shape = (3, attention.num_heads, -1) if fused is not None else (attention.num_heads, -1)
    source = fused if fused is not None else attention.v_proj

    def zero(values: Tensor | None) -> None:
        if values is not None:
            view = values.unflatten(0, shape)
            (view[2] if fused is not None else view)[list(heads)] = 0

    with torch.no_grad():
        zero(source.weight)
        zero(source.bias)
        extra = getattr(attention, "v_bias", None)
        if extra is not None:
            extra.unflatten(0, (attention.num_heads, -1))[list(heads)] = 0
