"""Tokens that are pooled by attention, in ways that no library's models have; and read in part."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from reference.explicit import gradients, score
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.explainers import METHODS, attention_gradient, daam, legrad, rollout
from vit_attention_widget.tracing.run import remask

WIDTH, HEADS, REGISTERS, PATCHES = 16, 2, 2, 16
TOKENS = 1 + REGISTERS + PATCHES


def heads(tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class Attention(nn.Module):
    num_heads = HEADS

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.seen: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = map(heads, self.qkv(x).chunk(3, -1))
        if self.seen is None:
            out = F.scaled_dot_product_attention(q, k, v)
        else:  # the literal twin keeps its matrix
            weights = (torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
            self.seen, out = (weights, v), torch.einsum("bhij,bhjd->bhid", weights, v)
        return x + self.proj(out.transpose(1, 2).flatten(2))


class Model(nn.Module):
    """A class token, two registers and 4 x 4 patches, read out in some way."""

    img_size = 16

    def __init__(self, readout: str) -> None:
        super().__init__()
        self.patch_embed, self.how = nn.Conv2d(3, WIDTH, 4, 4), readout
        self.cls_token = nn.Parameter(torch.randn(1, 1 + REGISTERS, WIDTH))
        self.blocks = nn.Sequential(Attention(), Attention())
        self.kv, self.latent = nn.Linear(WIDTH, 2 * WIDTH), nn.Parameter(torch.randn(1, 1, WIDTH))
        self.merge = nn.Conv2d(WIDTH, WIDTH, 2, 2)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).mT
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], 1)
        return self.head(self.pooled(self.blocks(x)))

    def pooled(self, x: Tensor) -> Tensor:
        patches = x[:, 1 + REGISTERS :]
        if self.how == "class and patches":
            return (x[:, 0] + patches.mean(1)) / 2
        if self.how == "middle":
            return x[:, [8, 9, 12, 13]].mean(1)
        query = self.latent.expand(len(x), -1, -1)
        if self.how == "twice":
            return self.attended(query + self.attended(query, x), x)[:, 0]
        if self.how == "merged":
            x = self.merge(patches.mT.unflatten(-1, (4, 4))).flatten(2).mT
        return self.attended(query, x)[:, 0]

    def attended(self, query: Tensor, x: Tensor) -> Tensor:
        k, v = map(heads, self.kv(x).chunk(2, -1))
        bias = self.bias(x) if self.how == "biased" else None
        out = F.scaled_dot_product_attention(heads(query), k, v, bias)
        return out.transpose(1, 2).flatten(2)

    @staticmethod
    def bias(x: Tensor) -> Tensor:
        """Prefix tokens and the upper half of the picture are hidden, the rest is weighed."""
        bias = torch.linspace(0, 2, TOKENS, dtype=x.dtype)
        return bias.masked_fill(torch.arange(TOKENS) < 11, -torch.inf)[None]


def traced(how: str, *, gradients: bool = True) -> vaw.Trace:
    torch.manual_seed(1)
    model, images = Model(how).double().eval(), torch.randn(2, 3, 16, 16).double()
    return vaw.trace(model, images, [1, 3], gradients=gradients)


@pytest.mark.parametrize("gradients", [True, False])
def test_the_bias_of_a_pool_is_part_of_its_attention(gradients: bool) -> None:
    trace = traced("biased", gradients=gradients)
    model, last = trace.model.model, trace.layers[-1].output.detach()
    with torch.no_grad():
        k = heads(model.kv(last).chunk(2, -1)[0])
        scores = torch.einsum("bhid,bhjd->bhij", heads(model.latent), k) / k.shape[-1] ** 0.5
        literal = (scores + model.bias(last)).softmax(-1)[:, :, 0].mean(1)
    torch.testing.assert_close(trace.readout.weights(), literal)
    assert (literal[:, :11] == 0).all()
    again = remask(trace, {0: [1]})
    assert len(again.forward_pass.pools) == 1
    assert again.pool is not trace.pool


@pytest.mark.parametrize(
    ("how", "says"), [("merged", "pools 4 vectors"), ("twice", "does so 2 times")]
)
def test_a_pool_whose_weights_are_of_no_token_is_refused_by_what_needs_them(
    how: str, says: str
) -> None:
    trace = traced(how)
    for method in (rollout, legrad):
        with pytest.raises(UnsupportedModelError, match=says):
            method(trace)
    assert (daam(trace).final > 0).any()  # which needs no weights of tokens
    assert vaw.head_importance(trace, metric="probability").complete
    with pytest.raises(UnsupportedModelError, match=says):
        vaw.head_importance(trace, metric="class_token_cosine")


@pytest.mark.parametrize("how", ["class and patches", "middle"])
def test_attention_gradient_is_of_the_tokens_that_are_read(how: str) -> None:
    trace = traced(how)
    queries = trace.readout.queries
    assert queries == ([0, *range(3, TOKENS)] if how == "class and patches" else [8, 9, 12, 13])
    twin = Model(how).double().eval()
    twin.load_state_dict(trace.model.model.state_dict())
    for block in twin.blocks:
        block.seen = ()
    logits = twin(trace.inputs)
    for layer, block in enumerate(twin.blocks):
        weights, _ = block.seen
        (gradient,) = gradients(score(logits, [1, 3]), [weights])
        literal = (weights * gradient).relu().mean(1)[:, queries].mean(1)[:, 3:]
        values = attention_gradient(trace).values[:, layer].flatten(1)
        torch.testing.assert_close(values, literal.detach())


def test_all_methods_run_where_tokens_are_read_in_part() -> None:
    trace = traced("class and patches")
    for method in METHODS.values():
        assert method(trace).final.isfinite().all()
