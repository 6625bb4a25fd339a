"""A smaller model: heads cut out for good, saved, and loaded again."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...errors import ParameterError, UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.head_index import HeadsLike, check_heads
from .pruned_attention import PrunedAttention, can_cut, why_unknown

__all__ = ["Pruning", "load_pruned", "prune_heads", "pruning_of", "save_pruned"]

_KEY = "vit_attention_widget.pruning"


@dataclass(frozen=True)
class Pruning:
    """What was pruned of a model, in heads of the original.

    Attributes
    ----------
    cut : dict
        ``{layer: (heads)}`` whose weights are gone.
    silenced : dict
        ``{layer: (heads)}`` that could not be cut: their values are zero, their weights remain.
    """

    cut: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    silenced: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Layers and heads as text."""
        parts = {"cut": self.cut, "silenced": self.silenced}
        return json.dumps(
            {name: {str(k): list(v) for k, v in p.items()} for name, p in parts.items()}
        )

    @classmethod
    def from_json(cls, text: str) -> Pruning:
        """The opposite of :meth:`to_json`."""
        parts = json.loads(text)
        return cls(
            *({int(k): tuple(v) for k, v in parts[name].items()} for name in ("cut", "silenced"))
        )


def prune_heads(model: nn.Module | VisionTransformer, heads: HeadsLike) -> nn.Module:
    """A copy of the model without some of its heads: smaller, faster, with the masked outputs.

    Its logits are those of ``masked_heads(model, heads)`` up to rounding. It can be traced,
    exported, saved by :func:`save_pruned`, and pruned again (heads are then counted among those
    that are left). A head that shares a norm with others cannot be cut; it is silenced instead,
    and :func:`pruning_of` says so.

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
            f"{vit.name} is not one of timm's models: only their weights can be cut. Its "
            "heads can be masked (masked_heads)."
        )
    small = copy.deepcopy(vit.model)
    before = pruning_of(vit.model)
    cut, silenced = dict(before.cut), dict(before.silenced)
    blocks: list[Any] = describe(small).blocks
    for layer, gone in chosen.items():
        attention = getattr(blocks[layer], "attn", blocks[layer])
        reason = why_unknown(attention)
        if reason is not None:
            raise UnsupportedModelError(
                f"Layer {layer} of {vit.name} cannot be pruned for good: {reason}. Its heads can "
                "be masked (masked_heads), or merge or remove what was added to it first."
            )
        names = _original(attention)
        which = tuple(names[head] for head in gone)
        if can_cut(attention):
            keep = [head for head in range(attention.num_heads) if head not in gone]
            blocks[layer].attn = PrunedAttention(attention, keep).train(attention.training)
            cut[layer] = tuple(sorted({*cut.get(layer, ()), *which}))
        else:
            _silence(attention, gone)
            silenced[layer] = tuple(sorted({*silenced.get(layer, ()), *which}))
    small._vaw_pruning = Pruning(cut, silenced)  # type: ignore[assignment]
    return small


def pruning_of(model: nn.Module) -> Pruning:
    """What :func:`prune_heads` took from a model; nothing for any other model."""
    found = getattr(model, "_vaw_pruning", None)
    return found if isinstance(found, Pruning) else Pruning()


def save_pruned(model: nn.Module, path: str | Path) -> None:
    """Write a pruned model's weights, and what was pruned as JSON in their header.

    The file is plain safetensors; :func:`load_pruned` reads it.
    """
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, path, {_KEY: pruning_of(model).to_json()})


def load_pruned(model: nn.Module, path: str | Path) -> nn.Module:
    """Read a model that was written by :func:`save_pruned`.

    Parameters
    ----------
    model : nn.Module
        The same architecture, not pruned, e.g. ``timm.create_model(name)``; its weights do not
        matter, and it is not changed.
    path : str or Path

    Raises
    ------
    ParameterError
        If the file does not say what was pruned, or its weights are of another architecture.
    """
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise ParameterError(
            f"{path} does not say what was pruned: write it with save_pruned(model, path)."
        )
    pruning = Pruning.from_json(text)
    small = prune_heads(model, _merged(pruning.cut, pruning.silenced))
    try:
        small.load_state_dict(load_file(path), strict=True)
    except RuntimeError as error:
        raise ParameterError(
            f"The weights in {path} do not fit {type(model).__name__}: create the architecture "
            f"that was pruned. {str(error).splitlines()[1].strip()}"
        ) from error
    return small


def _original(attention: Any) -> list[int]:
    """What each head of an attention was called in the original."""
    if isinstance(attention, PrunedAttention):
        return [int(head) for head in attention.kept]
    return list(range(attention.num_heads))


def _silence(attention: Any, heads: tuple[int, ...]) -> None:
    """Zero the values of some heads, so that their outputs are exactly zero."""
    if getattr(attention, "num_kv_groups", 1) > 1:
        raise UnsupportedModelError(
            f"{type(attention).__name__} shares values between heads and norms them together: its "
            "heads can be masked (masked_heads), but not pruned for good."
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


def _merged(*parts: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    merged: dict[int, tuple[int, ...]] = {}
    for part in parts:
        for layer, heads in part.items():
            merged[layer] = tuple(sorted({*merged.get(layer, ()), *heads}))
    return merged
