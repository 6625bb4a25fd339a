"""Which modules of a model are running."""

from __future__ import annotations

from collections.abc import Container, Mapping

from torch import nn

__all__ = ["RunningModules"]


class RunningModules:
    """The modules that have been entered and not left.

    Parameters
    ----------
    block_of : mapping of nn.Module to int
        The number of each block, and of its parts where it never runs as a whole.

    Attributes
    ----------
    module : nn.Module or None
        The innermost one.
    block : int or None
        The block that is running.
    """

    def __init__(self, block_of: Mapping[nn.Module, int]) -> None:
        self._block_of = block_of
        self._outside: list[tuple[nn.Module | None, int | None]] = []
        self.module: nn.Module | None = None
        self.block: int | None = None

    def __contains__(self, module: nn.Module) -> bool:
        return module is self.module or any(outer is module for outer, _ in self._outside)

    def enter(self, module: nn.Module) -> None:
        """A module begins."""
        self._outside.append((self.module, self.block))
        self.module = module
        if self.block is None:  # a block may hold what is taken for another
            self.block = self._block_of.get(module)

    def leave(self, module: nn.Module) -> None:
        """A module ends, and with it those inside it that raised and were never left."""
        while self._outside:
            ended = self.module
            self.module, self.block = self._outside.pop()
            if ended is module:
                break

    def leave_outermost(self, modules: Container[nn.Module]) -> None:
        """The outermost of some modules ends, if one of them is running."""
        for outer, _ in [*self._outside[1:], (self.module, None)]:
            if outer is not None and outer in modules:
                self.leave(outer)
                return

    def clear(self) -> None:
        """All have ended."""
        self._outside.clear()
        self.module = self.block = None
