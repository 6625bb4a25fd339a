"""What the tokens before the patches are called, by the model's own parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from torch import nn

__all__ = ["prefix_names", "with_class_at"]

_CLASS_TOKENS = ("cls_token", "class_embedding", "class_token", "cls")
_DISTILLED = ("dist_token", "distillation_token")


def prefix_names(model: nn.Module, blocks: Sequence[nn.Module], number: int) -> tuple[str, ...]:
    """Names of ``number`` tokens: class and distilled where a parameter says so, else registers."""
    inside = {id(p) for block in blocks for p in block.parameters()}
    called = {
        name.rpartition(".")[2] for name, p in model.named_parameters() if id(p) not in inside
    }
    names = [
        word
        for word, spellings in (("class", _CLASS_TOKENS), ("distilled", _DISTILLED))
        if called.intersection(spellings)
    ][:number]
    return tuple(names + [f"register {i}" for i in range(number - len(names))])


def with_class_at(names: Sequence[str], rows: Sequence[int]) -> tuple[str, ...]:
    """The names, where the class token is the only token that is read, wherever it lies.

    A parameter says that there is one, not in which place.

    Parameters
    ----------
    names : sequence of str
        As :func:`prefix_names` gives them.
    rows : sequence of int
        The tokens of the last block that are read.
    """
    (row,) = rows if len(rows) == 1 else (-1,)
    if not 0 <= row < len(names) or not names[row].startswith("register "):
        return tuple(names)
    others = [name for name in names if name != "class"]
    after = [*others[:row], "class", *others[row:]][: len(names)]
    registers = count()
    return tuple(
        f"register {next(registers)}" if name.startswith("register ") else name for name in after
    )
