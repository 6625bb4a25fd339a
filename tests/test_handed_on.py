"""Blocks that leave something for each other elsewhere than in what they return."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.explainers import daam, gradcam
from vit_attention_widget.tracing.run import remask

WIDTH, HEADS, DEPTH = 16, 2, 4


class Notes:
    """A plain object that all blocks know."""

    left: Tensor | None = None


class Block(nn.Module):
    num_heads = HEADS

    def __init__(self, layer: int, kind: str, notes: Notes, shared: list[Tensor]) -> None:
        super().__init__()
        self.layer, self.kind, self.notes, self.shared = layer, kind, notes, shared
        self.attn, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.own: Tensor | None = None
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1  # what nobody reads does no harm
        q, k, v = self.attn(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.proj(((q @ k.mT / 8**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2))
        self.own = x
        if self.layer == 0 and self.kind == "an object":
            self.notes.left = x
        if self.layer == 2 and self.kind == "an object":
            x = x + self.notes.left
        if self.layer == 0 and self.kind == "a list that is emptied":
            self.shared.append(x)
        if self.layer == 2 and self.kind == "a list that is emptied":
            x = x + self.shared.pop()
        return x


class Model(nn.Module):
    img_size = 16

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.patch_embed, self.kind = nn.Conv2d(3, WIDTH, 4, 4), kind
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        notes, shared = Notes(), list[Tensor]()
        self.blocks = nn.ModuleList([Block(i, kind, notes, shared) for i in range(DEPTH)])
        self.head = nn.Linear(WIDTH, 5)
        if kind == "hooks":
            self.blocks[0].register_forward_hook(lambda _, args, out: setattr(notes, "left", out))
            self.blocks[2].register_forward_hook(lambda _, args, out: out + notes.left)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x).flatten(2).mT], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def _traced(kind: str) -> tuple[nn.Module, Tensor, vaw.Trace]:
    torch.manual_seed(0)
    model, images = Model(kind).double().eval(), torch.randn(2, 3, 16, 16).double()
    trace = vaw.trace(model, images, 1)
    vaw.trace(model, -images)  # someone looks at other images meanwhile
    return model, images, trace


KINDS = ["an object", "a list that is emptied", "hooks"]


@pytest.mark.parametrize("kind", KINDS)
def test_toggled_heads_are_those_of_the_whole_model(kind: str) -> None:
    model, images, trace = _traced(kind)
    for layer in range(DEPTH):
        heads = {layer: [0]}
        with torch.no_grad(), vaw.masked_heads(model, heads):
            expected = model(images)
        vaw.trace(model, -images)
        torch.testing.assert_close(remask(trace, heads).logits, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_layers_again_is_refused(kind: str) -> None:
    model, images, trace = _traced(kind)
    runs: list[Callable[[], object]] = [
        lambda: vaw.head_importance(trace, metric="jsd"),
        lambda: vaw.head_importance(model, images, metric="jsd"),
        lambda: vaw.partial_pruning(trace, layer=1, head=1),
        lambda: gradcam(trace, tokens="before"),
    ]
    for run in runs:
        with pytest.raises(UnsupportedModelError, match=r"Block 2 .* left in an attribute"):
            run()
    assert (daam(trace).final > 0).any()


def test_what_blocks_keep_for_nobody_is_taken() -> None:
    model, images, trace = _traced("itself")
    importance = vaw.head_importance(trace, metric="probability")
    with torch.no_grad():
        before = model(images).softmax(-1)[:, 1]
        for layer in range(DEPTH):
            with vaw.masked_heads(model, {layer: [0]}):
                fall = before - model(images).softmax(-1)[:, 1]
            torch.testing.assert_close(importance.values[:, layer, 0].to(before), fall)


def test_it_is_tried_once() -> None:
    model, _, trace = _traced("itself")
    vaw.head_importance(trace, metric="jsd")
    seen = model.blocks[0].seen
    for layer in range(1, DEPTH):
        remask(trace, {layer: [0]})
    assert model.blocks[0].seen == seen
