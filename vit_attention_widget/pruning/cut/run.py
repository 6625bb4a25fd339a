"""Cut heads out of a model for good."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from torch import nn

from ...errors import UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.head_index import Heads, HeadsLike, check_heads
from .attention_module import attention_modules
from .projection_cut import ProjectionCut
from .projections import Projections, find_projections
from .record import Pruning, pruning_of
from .trial import Trial, blocks_of_copy, cannot_cut

__all__ = ["prune_heads"]


def prune_heads(model: nn.Module | VisionTransformer, heads: HeadsLike) -> nn.Module:
    """A copy of the model with some of its heads cut out: smaller and faster.

    Its logits are those of ``masked_heads(model, heads)`` up to rounding. It can be traced,
    exported, saved by :func:`save_pruned`, and pruned again (heads are then numbered among those
    that are left). A head whose output is normalized together with that of others cannot be cut:
    the weights of its values are set to zero instead, and :func:`pruning_of` says so.

    timm's attention, and PyTorch's multi-head attention (torchvision, open_clip, your own code), is
    replaced by a module with fewer heads. In any other (transformers), rows and columns are cut
    from the linear layers that make the values and take the head outputs, as one pass shows. Except
    for timm's, whose modules are known, all this is first done to a copy in float64, which must
    then decide as the masked model does.

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
    small = copy.deepcopy(vit.model)
    blocks = blocks_of_copy(vit, small, chosen)
    unknown = [layer for layer, block in blocks.items() if len(attention_modules(block)) != 1]
    joined = dict[int, ProjectionCut]()
    if unknown or not all(attention_modules(block)[0].is_of_timm for block in blocks.values()):
        trial = Trial(vit, chosen)
        tried = _find(vit, trial, unknown)
        joined = {layer: parts.of_copy(trial.model, small) for layer, parts in tried.items()}
        _cut(vit, trial.blocks, chosen, tried)
        trial.check()
    small._vaw_pruning = pruning_of(vit.model) | _cut(vit, blocks, chosen, joined)  # type: ignore[assignment]
    return small


def _find(vit: VisionTransformer, trial: Trial, layers: Sequence[int]) -> dict[int, ProjectionCut]:
    """The projections of layers whose attention is not a module that is known."""
    joined: dict[int, ProjectionCut] = {}
    for layer, seen in (trial.look(layers) if layers else {}).items():
        (call,), block = seen.attention, trial.blocks[layer]
        projections = find_projections(block, call, seen)
        if not isinstance(projections, Projections):
            raise cannot_cut(vit, layer, projections)
        joined[layer] = ProjectionCut(projections, projections.as_plain(block, call, seen))
    return joined


def _cut(
    vit: VisionTransformer,
    blocks: Mapping[int, nn.Module],
    heads: Heads,
    joined: Mapping[int, ProjectionCut],
) -> Pruning:
    """Cut heads out of the blocks of a copy of the described model."""
    before = pruning_of(vit.model)
    cut, zeroed = dict[int, tuple[int, ...]](), dict[int, tuple[int, ...]]()
    for layer, pruned in heads.items():
        total = vit.num_heads[layer]
        original = before.numbers(layer, total)
        numbers = tuple(original[head] for head in pruned)
        if layer in joined:
            cut_here = joined[layer].cut(blocks[layer], pruned, total)
            cut[layer] = tuple(original[head] for head in cut_here)
            zeroed[layer] = tuple(number for number in numbers if number not in cut[layer])
            continue
        (module,) = attention_modules(blocks[layer])
        reason = module.why_not()
        if reason is not None:
            raise UnsupportedModelError(
                f"Layer {layer} of {vit.name} cannot be pruned for good: {reason}. Mask its "
                "heads instead (masked_heads), or first merge or remove what was added to it."
            )
        (cut if module.remove(pruned) else zeroed)[layer] = numbers
    return Pruning(_any(cut), _any(zeroed))


def _any(heads: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    return {layer: numbers for layer, numbers in heads.items() if numbers}
