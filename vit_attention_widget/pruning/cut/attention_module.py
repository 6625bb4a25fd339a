"""Attention modules that are known: timm's, and PyTorch's multi-head attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UnsupportedModelError
from .multi_head_attention import PrunedMultiheadAttention, why_not_multi_head
from .pruned_attention import PrunedAttention, can_cut, is_of_timm, why_unknown

__all__ = ["AttentionModule", "attention_modules"]


@dataclass
class AttentionModule:
    """An attention module, and the module that holds it by a name.

    Attributes
    ----------
    module, holder : nn.Module
    name : str
    """

    module: Any
    holder: nn.Module
    name: str

    @property
    def is_of_timm(self) -> bool:
        """Whether it is one of timm's, or made of one."""
        return is_of_timm(self.module)

    def why_not(self) -> str | None:
        """Why its heads cannot be removed; None where they can."""
        return why_unknown(self.module) if self.is_of_timm else why_not_multi_head(self.module)

    def remove(self, heads: Sequence[int]) -> bool:
        """Remove heads by another module in its place; False if their values became 0 instead."""
        keep = [head for head in range(self.module.num_heads) if head not in heads]
        if not self.is_of_timm:
            smaller: nn.Module = PrunedMultiheadAttention(self.module, keep)
        elif can_cut(self.module):
            smaller = PrunedAttention(self.module, keep)
        else:
            _zero_values(self.module, heads)
            return False
        setattr(self.holder, self.name, smaller.train(self.module.training))
        return True


def attention_modules(block: nn.Module) -> list[AttentionModule]:
    """The modules of a block that are known to be attention, or stand where timm's stand."""
    of_pytorch = (nn.MultiheadAttention, PrunedMultiheadAttention)
    modules = [
        AttentionModule(child, holder, name)
        for holder in block.modules()
        for name, child in holder.named_children()
        if isinstance(child, of_pytorch) or is_of_timm(child)
    ]
    if not modules and hasattr(block, "attn") and type(block).__module__.startswith("timm."):
        return [AttentionModule(block.attn, block, "attn")]
    return modules


def _zero_values(attention: Any, heads: Sequence[int]) -> None:
    """Zero the weights of the values of some heads, so that their outputs are exactly zero."""
    if getattr(attention, "num_kv_groups", 1) > 1:
        raise UnsupportedModelError(
            f"{type(attention).__name__} shares values between heads and normalizes their outputs "
            "together: its heads can be masked (masked_heads), but not pruned for good."
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
