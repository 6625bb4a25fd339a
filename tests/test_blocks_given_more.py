"""Blocks that take more than the tokens of the block before: run again right, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.explainers import daam, gradcam
from vit_attention_widget.tracing.run import remask

WIDTH, HEADS, DEPTH, BATCH = 16, 2, 4, 2


class Block(nn.Module):
    """Adds what it is given besides tokens to its scores, its values, or its tokens."""

    num_heads = HEADS

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.attn = kind, nn.Linear(WIDTH, 3 * WIDTH)
        self.proj, self.joined = nn.Linear(WIDTH, WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor, other: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.kind == "skips" and other is not None:
            x = self.joined(torch.cat([x, other], -1))
        q, k, v = self.attn(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if self.kind == "scores" and other is not None:
            scores = scores + other
        passed = {"scores": scores, "first values": v, "skips": x}[self.kind]
        if self.kind == "first values" and other is not None:
            v, passed = v + other, other
        return x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)), passed


class Model(nn.Module):
    img_size = 16

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.patch_embed, self.kind = nn.Conv2d(3, WIDTH, 4, 4), kind
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.blocks = nn.ModuleList([Block(kind) for _ in range(DEPTH)])
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x).flatten(2).mT], 1)
        skips = list[Tensor]()
        other = None
        for layer, block in enumerate(self.blocks):
            if self.kind == "skips":
                other = skips.pop() if layer >= DEPTH // 2 else None
            x, other = block(x, other)
            skips.append(x) if layer < DEPTH // 2 else None
        return self.head(x[:, 0])


def model_and_images(kind: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Model(kind).double().eval(), torch.randn(BATCH, 3, 16, 16).double()


@pytest.mark.parametrize("kind", ["scores", "skips"])
def test_what_depends_on_blocks_further_below_is_refused_where_layers_run_again(kind: str) -> None:
    model, images = model_and_images(kind)
    trace = vaw.trace(model, images, 1)
    for run in (
        lambda: vaw.head_importance(trace, metric="jsd"),
        lambda: vaw.head_importance(model, images, metric="jsd"),
        lambda: vaw.partial_pruning(trace, layer=0, head=1),
        lambda: gradcam(trace, tokens="before"),
    ):
        with pytest.raises(UnsupportedModelError, match="given more than the tokens"):
            run()
    heads = {1: [0]}
    with torch.no_grad(), vaw.masked_heads(model, heads):
        torch.testing.assert_close(remask(trace, heads).logits, model(images))  # run as a whole
    assert (daam(trace).final > 0).any()


def test_what_no_head_changes_is_taken_and_each_image_has_its_own() -> None:
    model, images = model_and_images("first values")
    importance = vaw.head_importance(model, images, 1, metric="probability")
    partial = vaw.partial_pruning(model, images, 1, layer=1, head=0)
    with torch.no_grad():
        before = model(images).softmax(-1)[:, 1]
        for layer in range(DEPTH):
            for head in range(HEADS):
                with vaw.masked_heads(model, {layer: [head]}):
                    fall = before - model(images).softmax(-1)[:, 1]
                torch.testing.assert_close(importance.values[:, layer, head].to(before), fall)
                if (layer, head) == (1, 0):
                    pruned = partial.probability[partial.modes.index("all")].to(before)
                    torch.testing.assert_close(before - pruned, fall)


class Plain(Model):
    """A model of the same blocks that are told to return tokens alone."""

    def __init__(self) -> None:
        super().__init__("scores")
        for block in self.blocks:
            block.forward = lambda x, of=block: Block.forward(of, x)[0]

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x).flatten(2).mT], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def test_blocks_of_one_class_may_return_more_in_one_model_than_in_another() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 3, 16, 16)
    for model in (Model("scores").eval(), Plain().eval(), Model("scores").eval()):
        with torch.no_grad():
            assert torch.equal(vaw.trace(model, images).logits, model(images))


def test_skips_that_begin_at_zero_are_tried_again_once_they_are_trained() -> None:
    model, images = model_and_images("skips")
    with torch.no_grad():
        for block in model.blocks:
            block.joined.weight[:, WIDTH:] = 0
        vaw.head_importance(model, images, metric="jsd")  # nothing comes over the skips yet
        for block in model.blocks:
            block.joined.weight[:, WIDTH:] = torch.randn(WIDTH, WIDTH)
    with pytest.raises(UnsupportedModelError, match="given more than the tokens"):
        vaw.head_importance(model, images, metric="jsd")
