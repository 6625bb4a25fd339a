"""Cut heads out of a model for good."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...capture.attention_product import is_close
from ...capture.parts_in_turn import block_of_copy
from ...errors import UnsupportedModelError, VitAttentionError
from ...models import VisionTransformer, describe
from ...models.eval_mode import evaluating
from ...models.head_index import Heads, HeadsLike, check_heads
from ...tracing.masking import masked_heads
from .attention_module import AttentionModule, attention_modules
from .joined_attention import JoinedAttention, replace_module
from .pass_of_copy import Seen, probe_inputs, watch
from .projections import Projections, find_projections
from .record import Pruning, pruning_of

__all__ = ["prune_heads"]


def prune_heads(model: nn.Module | VisionTransformer, heads: HeadsLike) -> nn.Module:
    """A copy of the model without some of its heads: smaller and faster, for good.

    Its logits are those of ``masked_heads(model, heads)`` up to rounding. It can be traced,
    exported, saved by :func:`save_pruned`, and pruned again (heads are then numbered among those
    that are left). A head whose output is normalized together with that of others cannot be cut:
    the weights of its values are set to zero instead, and :func:`pruning_of` says so.

    Attention of timm, and PyTorch's multi-head attention (torchvision, open_clip, one's own code),
    is replaced by a module of fewer heads. In any other (transformers) the rows and columns of the
    linear layers go that made the values and were given the head outputs, as one pass shows; and
    the copy is returned if it then decides as the masked model does.

    Parameters
    ----------
    model : nn.Module
        A supported model; it is not changed.
    heads : dict or iterable of (layer, head)
        ``{layer: [heads]}`` or pairs, as in ``importance.ranking()[-4:]``; layer -1 is the last.
        All heads of a layer may go; one stays with values of zero where the model's code cannot do
        without any.

    Returns
    -------
    nn.Module
        Of the same class as ``model``.

    Raises
    ------
    ParameterError
        If a layer or head does not exist.
    UnsupportedModelError
        If a block's attention is of unknown form, was changed (adapters, hooks), shares keys
        between heads, or if the smaller model does not decide as the masked one.

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
    paths = {module: path for path, module in vit.model.named_modules()}
    small = copy.deepcopy(vit.model)
    blocks = {layer: block_of_copy(vit.blocks[layer], paths, small) for layer in chosen}
    before = pruning_of(vit.model)
    attention = {layer: attention_modules(block) for layer, block in blocks.items()}
    unknown = {layer: blocks[layer] for layer, modules in attention.items() if len(modules) != 1}
    inputs = probe_inputs(vit) if _needs_check(attention) else None
    seen = _look(vit, small, unknown, inputs) if unknown and inputs is not None else None
    cut, zeroed = dict[int, tuple[int, ...]](), dict[int, tuple[int, ...]]()
    for layer, pruned in chosen.items():
        original = before.numbers(layer, vit.num_heads[layer])
        numbers = tuple(original[head] for head in pruned)
        if layer in unknown:
            assert seen is not None
            gone = _cut_projections(vit, layer, blocks[layer], pruned, seen[layer])
            cut[layer] = tuple(original[head] for head in gone)
            zeroed[layer] = tuple(number for number in numbers if number not in cut[layer])
        else:
            (module,) = attention[layer]
            reason = module.why_not()
            if reason is not None:
                raise UnsupportedModelError(
                    f"Layer {layer} of {vit.name} cannot be pruned for good: {reason}. Mask its "
                    "heads instead (masked_heads), or first merge or remove what was added to it."
                )
            (cut if module.remove(pruned) else zeroed)[layer] = numbers
    if inputs is not None:
        _check_decision(vit, small, chosen, inputs)
    small._vaw_pruning = before | Pruning(_any(cut), _any(zeroed))  # type: ignore[assignment]
    return small


def _any(heads: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    return {layer: numbers for layer, numbers in heads.items() if numbers}


def _needs_check(attention: Mapping[int, Sequence[AttentionModule]]) -> bool:
    """Whether anything but timm's attention is cut, whose modules are known to the last line."""
    return any(len(found) != 1 or not found[0].is_of_timm for found in attention.values())


def _look(
    vit: VisionTransformer, small: nn.Module, blocks: Mapping[int, nn.Module], inputs: Tensor
) -> dict[int, Seen]:
    seen = watch(small, blocks, lambda: _decide(vit, small, inputs))
    for layer in blocks:
        if len(seen[layer].attention) != 1:
            raise _cannot(vit, layer, "its attention was not observed, or several times")
    return seen


def _cut_projections(
    vit: VisionTransformer, layer: int, block: nn.Module, pruned: Sequence[int], seen: Seen
) -> list[int]:
    """Cut heads; which of them went. One stays, with values of zero, where all were to go."""
    (call,) = seen.attention
    projections = find_projections(block, call, seen)
    if not isinstance(projections, Projections):
        raise _cannot(vit, layer, projections)
    total = call.v.shape[1]
    keep = [head for head in range(total) if head not in pruned]
    if not keep:
        keep = [pruned[0]]
        projections.zero_values(pruned[0], total)
    plain = projections.as_plain(block, call, seen)
    projections.keep(keep, total)
    if plain is not None:
        module, scale = plain
        returned = seen.returned[module]
        length = len(returned) if isinstance(returned, tuple) else 0
        replace_module(block, module, JoinedAttention(module, projections, scale, length))
    return [head for head in pruned if head not in keep]


def _decide(vit: VisionTransformer, model: nn.Module, inputs: Tensor) -> Tensor:
    """Logits of a copy of the described model."""
    # The parts of an adapted model were said of the original alone.
    forward = model if vit.library == "adapted" else describe(model).forward
    output = forward(inputs)
    if not isinstance(output, Tensor):
        raise UnsupportedModelError(
            f"{vit.name} returns a {type(output).__name__}, not a tensor: heads cannot be cut."
        )
    return output


def _check_decision(vit: VisionTransformer, small: nn.Module, heads: Heads, inputs: Tensor) -> None:
    """Raise unless the smaller model decides as the masked one."""
    with evaluating(vit.model), torch.no_grad(), masked_heads(vit, heads):
        expected = vit.forward(inputs)
    try:
        with evaluating(small), torch.no_grad():
            logits = _decide(vit, small, inputs)
        same = logits.shape == expected.shape and is_close(logits, expected)
    except VitAttentionError:
        raise
    except Exception as error:  # the model's own code, which may count its heads elsewhere
        raise UnsupportedModelError(
            f"{vit.name} cannot be pruned for good: without these heads its code fails "
            f"({type(error).__name__}: {error}). Mask them instead (masked_heads)."
        ) from error
    if not same:
        raise UnsupportedModelError(
            f"{vit.name} cannot be pruned for good: without the weights of these heads it does not "
            "decide as it does where they are masked, so something else depends on them. Mask them "
            "instead (masked_heads)."
        )


def _cannot(vit: VisionTransformer, layer: int, reason: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"Layer {layer} of {vit.name} cannot be pruned for good: {reason}. Mask its heads instead "
        "(masked_heads)."
    )
