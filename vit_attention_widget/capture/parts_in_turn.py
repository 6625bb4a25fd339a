"""A block that is a list of modules, which its model runs in turn, each beside a residual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

__all__ = ["PartsInTurn"]


class PartsInTurn(nn.Module):
    """Stands for ``nn.ModuleList([attention, mlp])``, which never runs as a module.

    It holds the model's own modules, and runs them as ``x = x + part(x)``. Whether the model does
    so must be tried; to observe the model's own pass it does not matter.
    """

    def __init__(self, parts: Iterable[nn.Module]) -> None:
        super().__init__()
        for i, part in enumerate(parts):
            self.add_module(str(i), part)

    @property
    def parts(self) -> list[nn.Module]:
        """The modules, from first to last."""
        return list(self.children())

    def forward(self, tokens: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Tokens after all parts; further arguments are for the first."""
        first, *others = self.parts
        tokens = tokens + first(tokens, *args, **kwargs)
        for part in others:
            tokens = tokens + part(tokens)
        return tokens
