"""Cut heads out of one block by its projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from .joined_attention import JoinedAttention, replace_module
from .projections import Projections

__all__ = ["ProjectionCut"]


@dataclass
class ProjectionCut:
    """What is cut of a block whose attention is not a module that is known.

    Attributes
    ----------
    projections : Projections
    plain : tuple of nn.Module, float and int, optional
        The module that is replaced by :class:`~.joined_attention.JoinedAttention`, its scale, and
        the length of the tuple that it returns (0: a tensor).
    """

    projections: Projections
    plain: tuple[nn.Module, float, int] | None

    def of_copy(self, model: nn.Module, copy: nn.Module) -> ProjectionCut:
        """The same of a copy of the model."""
        projections = self.projections.of_copy(model, copy)
        if self.plain is None:
            return ProjectionCut(projections, None)
        module, scale, length = self.plain
        path = next(path for path, each in model.named_modules() if each is module)
        return ProjectionCut(projections, (copy.get_submodule(path), scale, length))

    def cut(self, block: nn.Module, heads: Sequence[int], total: int) -> list[int]:
        """Cut heads; which of them went. One stays, with values of zero, where all were to go."""
        keep = [head for head in range(total) if head not in heads]
        if not keep:
            keep = [heads[0]]
            self.projections.zero_values(heads[0], total)
        self.projections.keep(keep, total)
        if self.plain is not None:
            module, scale, length = self.plain
            smaller = JoinedAttention(module, self.projections, scale, length)
            replace_module(block, module, smaller)
        return [head for head in heads if head not in keep]
