"""What the tokens before the patches are called, by the model's own parameters."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

__all__ = ["prefix_names"]

_CLASS_TOKENS = ("cls_token", "class_embedding", "class_token", "cls")
_DISTILLED = ("dist_token", "distillation_token")


def prefix_names(model: nn.Module, blocks: Sequence[nn.Module], count: int) -> tuple[str, ...]:
    """Names of ``count`` tokens: class and distilled where a parameter says so, else registers."""
    inside = {id(p) for block in blocks for p in block.parameters()}
    called = {
        name.rpartition(".")[2] for name, p in model.named_parameters() if id(p) not in inside
    }
    names = [
        word
        for word, spellings in (("class", _CLASS_TOKENS), ("distilled", _DISTILLED))
        if called.intersection(spellings)
    ][:count]
    return tuple(names + [f"register {i}" for i in range(count - len(names))])
