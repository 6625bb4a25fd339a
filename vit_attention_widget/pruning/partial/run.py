"""Prune parts of one head, and see which entries of its attention the decision rests on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...errors import ParameterError
from ...importance.upper_layers import needed_rows, outcome
from ...models import VisionTransformer
from ...models.head_index import HeadsLike, head_index, layer_index
from ...models.images import ImageLike
from ...models.output_kind import probabilities
from ...support.deprecation import renamed_keywords, reordered_arguments
from ...targets.user_target import TargetLike
from ...tracing.checks.alone import check_alone
from ...tracing.checks.sequence import check_chain
from ...tracing.model_or_trace import as_trace
from ...tracing.trace import Trace
from .result import MODES, PartialPruning, Top5

__all__ = ["partial_pruning"]


def _has_head(args: Sequence[object]) -> bool:
    """Whether a layer and a head follow the images, as they used to."""
    return len(args) > 1 and all(hasattr(number, "__index__") for number in args[:2])


@renamed_keywords({"model": "model_or_trace"})
@reordered_arguments("model_or_trace", "images", "layer", "head", "target", moved=_has_head)
def partial_pruning(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImageLike | Sequence[ImageLike] | None = None,
    target: TargetLike = None,
    *,
    layer: int,
    head: int,
    head_mask: HeadsLike | None = None,
) -> PartialPruning:
    """Zero parts of one head's attention after the softmax, and decide again.

    Entries are set to zero, not renormalized (Li et al. 2023). Registers and the distillation
    token belong to neither block; only mode ``"all"`` takes them.

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images, target and mask.
    images : image, float tensor, or list of images
    target : optional
        A class index or name, or one per image; None is the predicted class.
    layer, head : int
        Layer -1 is the last.
    head_mask : dict or iterable of (layer, head), optional
        Heads that are pruned already: ``{layer: [heads]}`` or pairs.

    Returns
    -------
    PartialPruning

    Raises
    ------
    ParameterError
        If the layer or head does not exist, is pruned already, or the target is not a class.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> parts = vaw.partial_pruning(model, scene.image, layer=5, head=2)
    >>> parts.modes[0], len(parts.top5[0][0]), parts.zeroed("corner")
    ('none', 5, [[True, False], [False, False]])
    """
    trace = as_trace(model_or_trace, images, target, head_mask=head_mask, gradients=False)
    layer = layer_index(trace.model, layer)
    head = head_index(trace.model, layer, head)
    if head in trace.head_mask.get(layer, ()):
        raise ParameterError(f"Head {head} of layer {layer} is pruned already: nothing is left.")
    index = trace.target.index
    if index is None:
        raise ParameterError(f"The target {trace.target.name!r} is not a class: give one.")
    with trace.rerunning(), torch.inference_mode():
        trace.readout.check()
        check_chain(trace.layers, trace.model)
        check_alone(trace.forward_pass)
        rows = needed_rows(trace, layer)
        pieces = _pieces(trace, layer, head, rows)
        modes = tuple(
            mode
            for mode, blocks in MODES.items()
            if mode in ("none", "all") or set(blocks) <= set(pieces)
        )
        out = trace.layers[layer].out
        variants = (out if rows is None else out[:, :, rows]).repeat(len(modes), 1, 1, 1, 1)
        for i, mode in enumerate(modes):
            for zeroed in MODES[mode]:
                if zeroed in pieces:
                    variants[i, :, head] -= pieces[zeroed]
            if mode == "all":
                variants[i, :, head] = 0  # exactly
        logits = outcome(trace, layer, variants).logits
    decided = probabilities(logits, trace.model.output)
    of_class = decided[:, torch.arange(trace.batch_size), torch.tensor(index)]
    top5 = _top5(decided, trace.model)
    return PartialPruning(layer, head, modes, of_class, top5, trace.target.name)


def _top5(decided: Tensor, vit: VisionTransformer) -> tuple[tuple[Top5, ...], ...]:
    """The five best classes of probabilities [mode, image, class]."""
    best = decided.topk(min(5, decided.shape[-1]))
    return tuple(
        tuple(
            tuple((vit.class_name(c), value) for c, value in zip(classes, values, strict=True))
            for classes, values in zip(*each, strict=True)
        )
        for each in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    )


def _pieces(trace: Trace, layer: int, head: int, rows: list[int] | None) -> dict[str, Tensor]:
    """What each block of a head's attention adds to its output, [batch, row, head_dim] a block."""
    record, tokens = trace.layers[layer], trace.tokens
    v = record.v[:, head]
    queries = list(range(tokens.num_tokens)) if rows is None else rows
    keys = {"p": slice(tokens.num_prefix, None)}
    if "class" in tokens.prefix:
        keys["c"] = slice(tokens.prefix.index("class"), tokens.prefix.index("class") + 1)
    size = max(1, 2**24 // (trace.batch_size * tokens.num_tokens))
    chunks = [queries[start : start + size] for start in range(0, len(queries), size)]
    by_key: dict[str, Tensor] = {}
    for name, key in keys.items():
        by_key[name] = torch.cat(
            [trace.attention(layer, head, part)[..., key].to(v) @ v[:, key] for part in chunks], 1
        )
    kind = torch.tensor([_kind(trace, query) for query in queries], device=v.device)
    return {
        f"{query}{key}": added * (kind == number)[:, None]
        for query, number in {"c": 0, "p": 1}.items()
        if query in keys
        for key, added in by_key.items()
    }


def _kind(trace: Trace, token: int) -> int:
    """0 the class token, 1 a patch, 2 any other."""
    if token >= trace.tokens.num_prefix:
        return 1
    return 0 if trace.tokens.prefix[token] == "class" else 2
