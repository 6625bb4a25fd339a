"""Plain self-attention with joined projections, for code that counts on heads filling the width.

Code that reshapes by ``dim // num_heads`` (DINO, DINOv2, BLIP and others) cannot run with fewer
heads of the same width, so its module is replaced.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .projections import Projections

__all__ = ["JoinedAttention", "replace_module"]


class JoinedAttention(nn.Module):
    """``proj(softmax(q k^T * scale) v)`` of joined projections, called as what it replaces was.

    Parameters
    ----------
    module : nn.Module
        The one that is replaced; where it keeps its two linear layers by these names, so does this.
    projections : Projections
        With fewer heads already.
    scale : float
    returned : int
        0 if the module returns a tensor, else how long a tuple; all but the first are None.
    """

    def __init__(
        self, module: nn.Module, projections: Projections, scale: float, returned: int
    ) -> None:
        super().__init__()
        (qkv,), proj = projections.inputs, projections.output
        self.scale, self.returned, self.axis = scale, returned, projections.axis
        self.head_dim = projections.layout[-1]
        self.num_heads = proj.in_features // self.head_dim
        self._first = next(iter(inspect.signature(module.forward).parameters))
        self._names: list[str] = []
        for linear in (qkv, proj):
            name = next(name for name, child in module.named_children() if child is linear)
            self.add_module(name, linear)
            self._names.append(name)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor | None, ...]:
        """Tokens [batch, token, dim] first; what else is given to the module has no part in it."""
        tokens: Tensor = args[0] if args else kwargs[self._first]
        qkv, proj = (self.get_submodule(name) for name in self._names)
        heads = (self.num_heads, self.head_dim)
        layout = (3, *heads) if self.axis == 1 else (heads[0], 3, heads[1])
        parts = qkv(tokens).unflatten(-1, layout).unbind(-3 + (1 - self.axis))
        q, k, v = (part.transpose(1, 2) for part in parts)
        out = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        projected = proj(out.transpose(1, 2).flatten(2))
        return (projected, *[None] * (self.returned - 1)) if self.returned else projected


def replace_module(block: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another one of a block."""
    holder, name = next(
        (holder, name)
        for holder in block.modules()
        for name, child in holder.named_children()
        if child is old
    )
    setattr(holder, name, new.train(old.training))
