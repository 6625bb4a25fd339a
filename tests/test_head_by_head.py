"""Models that compute one head at a time: each is a head like any other, or refused by name.

The literal twin keeps every matrix of every head in float64, and masks a head by a factor.
"""

from __future__ import annotations

import pytest
import torch
from test_written_attention import DIM, HEADS, TOKENS, loop_with_cat, traced
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.explainers import daam, rollout
from vit_attention_widget.tracing.run import remask

WIDTH, LAYERS, TARGET = HEADS * DIM, 3, 3


class Head(nn.Module):
    """As teaching code has it: a module for each head."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, DIM, bias=False) for _ in range(3))

    def weights(self, x: Tensor) -> Tensor:
        return (self.query(x) @ self.key(x).transpose(-2, -1) / DIM**0.5).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        return self.weights(x) @ self.value(x)


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head() for _ in range(HEADS))
        self.proj, self.dropout = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.proj(torch.cat([head(x) for head in self.heads], dim=-1)))


class Block(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = attention
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, attention: type[nn.Module] = Heads) -> None:
        super().__init__()
        self.img_size, self.patch = 32, nn.Conv2d(3, WIDTH, 8, 8)
        self.cls = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.blocks = nn.ModuleList(Block(attention()) for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).mT
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Twin:
    """The model by hand: all matrices, and the gradient of the class with respect to each."""

    def __init__(
        self, model: ViT, images: Tensor, masked: frozenset[tuple[int, int]] = frozenset()
    ):
        x = model.patch(images).flatten(2).mT
        x = torch.cat([model.cls.expand(len(x), -1, -1), x], 1)
        self.weights: list[list[Tensor]] = []
        for layer, block in enumerate(model.blocks):
            normed = block.norm1(x)
            self.weights.append([head.weights(normed) for head in block.attention.heads])
            outputs = [
                a @ head.value(normed) * ((layer, number) not in masked)
                for number, (a, head) in enumerate(
                    zip(self.weights[-1], block.attention.heads, strict=True)
                )
            ]
            x = x + block.attention.proj(torch.cat(outputs, -1))
            x = x + block.mlp(block.norm2(x))
        self.logits = model.head(model.norm(x)[:, 0])
        flat = [a for layer in self.weights for a in layer]
        of_all = torch.autograd.grad(self.logits[:, TARGET].sum(), flat, allow_unused=True)
        filled = [
            torch.zeros_like(a) if g is None else g for a, g in zip(flat, of_all, strict=True)
        ]
        pairs = zip(*[iter(filled)] * HEADS, strict=True)
        self.gradients = [torch.stack(layer, 1) for layer in pairs]
        self.maps = [torch.stack(layer, 1).detach() for layer in self.weights]


def made(attention: type[nn.Module] = Heads) -> tuple[ViT, Tensor]:
    torch.manual_seed(0)
    return ViT(attention).double().eval(), torch.randn(2, 3, 32, 32, dtype=torch.float64)


@pytest.mark.parametrize("masked", [frozenset(), frozenset({(0, 1), (1, 0), (1, 3)})])
def test_a_module_for_each_head_is_seen_as_the_twin_has_it(
    masked: frozenset[tuple[int, int]],
) -> None:
    model, images = made()
    trace = vaw.trace(model, images, TARGET, head_mask=masked)
    twin = Twin(model, images, masked)
    assert trace.num_heads == (HEADS,) * LAYERS
    torch.testing.assert_close(trace.logits, twin.logits.detach())
    for layer in range(LAYERS):
        torch.testing.assert_close(trace.attention(layer), twin.maps[layer])
        ours = trace.attention_gradient(layer)
        torch.testing.assert_close(ours, twin.gradients[layer])
    assert trace.layers[1].block.input is not None
    if not masked:
        assert torch.equal(trace.logits, model(images).detach())


def test_masking_again_importance_and_parts_of_a_head_are_those_of_the_twin() -> None:
    model, images = made()
    whole = vaw.trace(model, images, TARGET)
    again = remask(whole, {1: [2]})
    assert again.layers[0] is whole.layers[0]
    masked = Twin(model, images, frozenset({(1, 2)}))
    torch.testing.assert_close(again.logits, masked.logits.detach())
    torch.testing.assert_close(again.attention(2), masked.maps[2])

    importance = vaw.head_importance(whole, metric="probability")
    before = Twin(model, images).logits.softmax(-1)[:, TARGET]
    for layer, head in ((0, 1), (2, 3)):
        after = Twin(model, images, frozenset({(layer, head)})).logits.softmax(-1)[:, TARGET]
        ours = importance.values[..., layer, head].flatten()
        torch.testing.assert_close(ours, (before - after).detach().to(ours))

    with torch.no_grad(), vaw.masked_heads(model, {1: [2]}):
        torch.testing.assert_close(model(images), masked.logits.detach())
    parts = vaw.partial_pruning(whole, layer=1, head=2)
    for mode, logits in (("none", Twin(model, images).logits), ("all", masked.logits)):
        ours = parts.probability[parts.modes.index(mode)]
        torch.testing.assert_close(ours, logits.softmax(-1)[:, TARGET].detach())
    for explain in (daam, rollout):
        assert explain(whole).final.isfinite().all()


class OneHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.proj = Head(), nn.Linear(DIM, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.head(x))


def test_a_model_of_one_head_is_one() -> None:
    model, images = made(OneHead)
    trace = vaw.trace(model, images, TARGET)
    assert trace.num_heads == (1,) * LAYERS
    weights = model.blocks[0].attention.head.weights(model.blocks[0].norm1(trace.layers[0].input))
    torch.testing.assert_close(trace.attention(0)[:, 0], weights.detach())


class ProjectedHeads(Heads):
    """A projection for each head, and their sum: no head outputs stand side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(DIM, WIDTH) for _ in range(HEADS))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.projections, self.heads, strict=True)
        return torch.stack([projection(head(x)) for projection, head in pairs]).sum(0)


class UnequalHeads(Heads):
    def __init__(self) -> None:
        super().__init__()
        self.heads[0].value = nn.Linear(WIDTH, DIM - 2)
        self.heads[1].value = nn.Linear(WIDTH, DIM + 2)


@pytest.mark.parametrize(
    ("attention", "seen"),
    [(ProjectedHeads, "come together by cat or stack"), (UnequalHeads, "of different sizes")],
)
def test_heads_that_do_not_stand_side_by_side_are_refused(
    attention: type[nn.Module], seen: str
) -> None:
    model, images = made(attention)
    with pytest.raises(UnsupportedModelError, match=seen):
        vaw.trace(model, images)


def test_a_matrix_at_a_time_is_put_to_its_image_and_head() -> None:
    """Image by image within each head, all in one stack that is taken apart afterwards."""

    def mixed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads = [
            (q[b, h] @ k[b, h].mT * DIM**-0.5).softmax(-1) @ v[b, h]
            for h in range(HEADS)
            for b in range(len(q))
        ]
        return torch.stack(heads).unflatten(0, (HEADS, len(q))).transpose(0, 1)

    trace, same = traced(mixed), traced(loop_with_cat)
    torch.testing.assert_close(daam(trace).final, daam(same).final)
    assert trace.layers[0].v.shape == (2, HEADS, TOKENS, DIM)
