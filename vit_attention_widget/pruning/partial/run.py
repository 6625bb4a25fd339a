"""Prune parts of one head, and see which entries of its attention the decision rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ParameterError
from ...importance.upper_layers import needed_rows, outcome
from ...models import VisionTransformer
from ...models.head_index import HeadsLike, head_index, layer_index
from ...models.output_kind import probabilities
from ...support.deprecation import renamed_keywords, reordered_arguments
from ...tracing.model_or_trace import as_trace
from ...tracing.trace import Trace

__all__ = ["MODES", "PartialPruning", "partial_pruning"]

# Which blocks of (query, key) are zeroed; c is the class token, p the patches.
MODES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "all": ("cc", "cp", "pc", "pp", "other"),
    "class row and column": ("cc", "cp", "pc"),
    "patches": ("pp",),
    "class row and column without corner": ("cp", "pc"),
    "corner": ("cc",),
}
"""The six modes of Li et al. 2023, each with the blocks that it zeroes."""


@dataclass(frozen=True)
class PartialPruning:
    """What becomes of the decision when a part of one head's attention is set to zero.

    Attributes
    ----------
    layer, head : int
    modes : tuple of str
        Without a class token, those of :data:`MODES` that need none.
    probability : Tensor
        [mode, batch], of the target class; of a model of values the value.
    top5 : list
        [mode][batch], the five best classes as (name, probability).
    target : str
    """

    layer: int
    head: int
    modes: tuple[str, ...]
    probability: Tensor
    top5: list[list[list[tuple[str, float]]]]
    target: str

    def zeroed(self, mode: str) -> list[list[bool]]:
        """A pictogram: [[class-class, class-patch], [patch-class, patch-patch]], True if zeroed."""
        blocks = MODES[mode]
        return [["cc" in blocks, "cp" in blocks], ["pc" in blocks, "pp" in blocks]]


def _has_head(args: Sequence[Any]) -> bool:
    """Whether a layer and a head follow the images, as they used to."""
    return len(args) > 1 and all(hasattr(number, "__index__") for number in args[:2])


@renamed_keywords({"model": "model_or_trace"})
@reordered_arguments("model_or_trace", "images", "layer", "head", "target", moved=_has_head)
def partial_pruning(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: Any = None,
    target: Any = None,
    *,
    layer: int,
    head: int,
    head_mask: HeadsLike | None = None,
) -> PartialPruning:
    """Zero parts of one head's attention after the softmax, and decide again.

    Entries are set to zero, not renormalised (Li et al. 2023). Registers and the distillation
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
    found = as_trace(model_or_trace, images, target, head_mask=head_mask, gradients=False)
    layer = layer_index(found.model, layer)
    head = head_index(found.model, layer, head)
    if head in found.head_mask.get(layer, ()):
        raise ParameterError(f"Head {head} of layer {layer} is pruned already: nothing is left.")
    index = found.target.index
    if index is None:
        raise ParameterError(f"The target {found.target.name!r} is not a class: give one.")
    with torch.inference_mode(), found.rerunning():
        found.readout.check()
        rows = needed_rows(found, layer)
        pieces = _pieces(found, layer, head, rows)
        modes = tuple(
            m for m, gone in MODES.items() if m in ("none", "all") or set(gone) <= set(pieces)
        )
        out = found.layers[layer].out
        variants = (out if rows is None else out[:, :, rows]).repeat(len(modes), 1, 1, 1, 1)
        for i, mode in enumerate(modes):
            for gone in MODES[mode]:
                if gone in pieces:
                    variants[i, :, head] -= pieces[gone]
            if mode == "all":
                variants[i, :, head] = 0  # exactly
        logits = outcome(found, layer, variants).logits
    p = probabilities(logits, found.model.output)
    images_ = torch.arange(found.batch_size)
    best = p.topk(min(5, p.shape[-1]))
    top5 = [
        [
            [(found.model.class_name(c), v) for c, v in zip(classes, values, strict=True)]
            for classes, values in zip(*each, strict=True)
        ]
        for each in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    of_class = p[:, images_, torch.tensor(index)]
    return PartialPruning(layer, head, modes, of_class, top5, found.target.name)


def _pieces(found: Trace, layer: int, head: int, rows: list[int] | None) -> dict[str, Tensor]:
    """What each block of a head's attention adds to its output, [batch, row, head_dim] a block."""
    record, tokens = found.layers[layer], found.tokens
    v = record.v[:, head]
    queries = list(range(tokens.num_tokens)) if rows is None else rows
    keys = {"p": slice(tokens.num_prefix, None)}
    if "class" in tokens.prefix:
        keys["c"] = slice(tokens.prefix.index("class"), tokens.prefix.index("class") + 1)
    size = max(1, 2**24 // (found.batch_size * tokens.num_tokens))
    chunks = [queries[start : start + size] for start in range(0, len(queries), size)]
    by_key: dict[str, Tensor] = {}
    for name, key in keys.items():
        by_key[name] = torch.cat(
            [found.attention(layer, head, part)[..., key].to(v) @ v[:, key] for part in chunks], 1
        )
    kind = torch.tensor([_kind(found, query) for query in queries], device=v.device)
    return {
        f"{query}{key}": added * (kind == number)[:, None]
        for query, number in {"c": 0, "p": 1}.items()
        if query in keys
        for key, added in by_key.items()
    }


def _kind(found: Trace, token: int) -> int:
    """0 the class token, 1 a patch, 2 any other."""
    if token >= found.tokens.num_prefix:
        return 1
    return 0 if found.tokens.prefix[token] == "class" else 2
