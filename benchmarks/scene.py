"""What ours and the peers look at alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import timm
import torch
from torch import Tensor

import vit_attention_widget as vaw

from .measure import Row, said, side_by_side
from .published import RULES, explicit_copy

FOUR = ("rollout", "gmar", "daam", "legrad")
CLASS = 7

Run = Callable[[], object]


class Scene:
    """A model, the same weights with attention written out, and images."""

    def __init__(self, name: str, batch: int, where: argparse.Namespace, **options: object) -> None:
        torch.manual_seed(0)
        self.name, self.rounds = name, where.rounds
        self.model = timm.create_model(name, **options).eval()
        with torch.no_grad():  # random weights attend almost evenly: sharper heads tell more
            for block in self.model.blocks:
                block.attn.qkv.weight.mul_(3)
        images = torch.randn(batch, 3, *self.model.patch_embed.img_size)
        dtype = getattr(torch, where.dtype)
        self.model.to(where.device, dtype)
        self.images = images.to(where.device, dtype)
        self.explicit = explicit_copy(self.model, name, **options)
        self.exact = dtype == torch.float32

    def ours(self, *methods: str) -> list[Tensor]:
        """Maps [batch, row, col] of some methods, from one trace."""
        gradients = methods != ("rollout",)
        trace = vaw.trace(self.model, self.images, CLASS, gradients=gradients)
        return [vaw.explainers.METHODS[m](trace).final for m in methods]

    def theirs(self, *rules: str) -> list[Tensor]:
        """Maps [batch, patch] of the published rules, each by itself."""
        return [RULES[rule](self.explicit, self.images, CLASS) for rule in rules]

    def checked(self, label: str, ours: Tensor, theirs: Tensor, least: float = 0.999) -> None:
        """Refuse to time what does not agree; half precision may differ a little more."""
        least = least if self.exact else min(least, 0.95)
        likeness = agreement(ours, theirs)
        if not likeness > least:
            raise SystemExit(f"{label}: the maps do not agree ({likeness:.4f}): times say nothing.")

    def beside(
        self, label: str, ours: Run, theirs: Run, goal: str = "> 1", slow: bool = False
    ) -> Row:
        """One line: their time as a multiple of ours."""
        rounds = max(3, self.rounds // 2) if slow else self.rounds
        ratios = side_by_side({"ours": ours, "theirs": theirs}, "ours", rounds)
        ratio = ratios["theirs"]
        return said(Row(f"{self.name}: {label}", f"{ratio} x ours", goal, ratio))


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """Correlation of two maps, 1 for the same up to scale."""
    both = torch.stack([ours.flatten().float(), theirs.flatten().to(ours.device).float()])
    return float(torch.corrcoef(both.detach())[0, 1])
