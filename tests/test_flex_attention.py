"""flex_attention, eager or compiled: its weights are those of scores changed and hidden by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from test_written_attention import DIM, HEADS, TOKENS, Attend
from test_written_attention import traced as traced_with_gradients
from torch import Tensor
from torch._higher_order_ops.flex_attention import math_attention
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import vit_attention_widget as vaw
from vit_attention_widget.capture.flex import flex_attention as flex_steps
from vit_attention_widget.explainers import daam, gmar, legrad, rollout
from vit_attention_widget.tracing.run import remask

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning")

BIAS = torch.randn(HEADS, TOKENS, TOKENS, generator=torch.Generator().manual_seed(3)).double()

# By itself it refuses gradients on a CPU.
traced = partial(traced_with_gradients, differentiable=False)

Mod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def near(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return (query - key).abs() < 5 + head


def own(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Another mask for each image; one query sees nothing."""
    return (key % (2 + batch) != 0) & (query != 7)


def with_bias(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return score + BIAS[h, i, j]


def capped(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """No bias can say this."""
    return 2 * torch.tanh(score / 2) * (1 + h)


def by_hand(
    change: Callable[[Tensor], Tensor] = lambda scores: scores,
    kept: Callable[[int], Tensor] | None = None,
    scale: float = DIM**-0.5,
) -> Attend:
    """Whole matrices, without any function of PyTorch's for attention."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        e = change(q @ k.mT * scale).exp()
        if kept is not None:
            e = e * kept(len(q))
        return e / e.sum(-1, keepdim=True).clamp_min(1e-300) @ v

    return attend


def masked(mask: Callable[..., Tensor]) -> Callable[[int], Tensor]:
    def kept(batch: int) -> Tensor:
        grid = torch.meshgrid(*map(torch.arange, (batch, HEADS, TOKENS, TOKENS)), indexing="ij")
        return mask(*grid).double()

    return kept


def flex(
    score_mod: Mod | None = None, mask: Callable[..., Tensor] | None = None, **said: float
) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        blocks = None
        if mask is not None:
            blocks = create_block_mask(mask, len(q), HEADS, TOKENS, TOKENS, device="cpu")
        return flex_attention(q, k, v, score_mod, blocks, **said)

    return attend


SCALES = (torch.arange(HEADS, dtype=torch.float64) + 1)[:, None, None]
KINDS = {
    "plain": (flex(), by_hand()),
    "scale": (flex(scale=0.9), by_hand(scale=0.9)),
    "bias": (flex(with_bias), by_hand(lambda scores: scores + BIAS)),
    "capped": (flex(capped), by_hand(lambda scores: 2 * torch.tanh(scores / 2) * SCALES)),
    "mask": (flex(None, near), by_hand(kept=masked(near))),
    "both": (flex(with_bias, near), by_hand(lambda scores: scores + BIAS, masked(near))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_use_is_the_attention_written_by_hand(kind: str) -> None:
    ours, literal = KINDS[kind]
    trace, expected = traced(ours), traced(literal)
    assert all(record.weights is None for record in trace.layers)
    for layer in range(3):
        for values, wanted in (
            (trace.attention(layer), expected.attention(layer)),
            (trace.attention(layer, [3, 1], [0, 5]), expected.attention(layer, [3, 1], [0, 5])),
            (
                trace.attention(layer, slice(1, 3), slice(2, 9)),
                expected.attention(layer)[:, 1:3, 2:9],
            ),
            (
                trace.attention(layer, slice(-2, None), slice(None, -4, -1)),
                expected.attention(layer)[:, -2:, -3:].flip(2),
            ),
            (trace.attention_gradient(layer), expected.attention_gradient(layer)),
        ):
            torch.testing.assert_close(values, wanted)
    for explain in (daam, gmar, legrad, rollout):
        torch.testing.assert_close(explain(trace).final, explain(expected).final)


@pytest.mark.parametrize("kind", KINDS)
def test_heads_can_be_masked_and_ablated(kind: str) -> None:
    ours, literal = KINDS[kind]
    heads = {0: [1], 2: [0, 3]}
    trace, expected = traced(ours, head_mask=heads), traced(literal, head_mask=heads)
    torch.testing.assert_close(trace.logits, expected.logits)
    torch.testing.assert_close(remask(traced(ours), heads).logits, expected.logits)
    if kind in ("mask", "both"):
        return  # made for this number of images, by this model
    torch.testing.assert_close(
        vaw.head_importance(traced(ours), metric="jsd").values,
        vaw.head_importance(traced(literal), metric="jsd").values,
    )


def test_queries_that_see_nothing_attend_to_nothing() -> None:
    trace = traced(flex(None, own), gradients=False)
    weights = trace.attention(1)
    assert not weights[:, :, 7].any()
    sums = weights.sum(-1)
    torch.testing.assert_close(sums[:, :, :7], torch.ones_like(sums[:, :, :7]))
    for image, step in ((0, 2), (1, 3)):
        assert not weights[image, :, :, ::step].any()


def test_fewer_key_heads_are_shared() -> None:
    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return flex_attention(q, k[:, ::2], v[:, ::2], enable_gqa=True)

    def literal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = (t[:, ::2].repeat_interleave(2, 1) for t in (k, v))
        return by_hand()(q, k, v)

    trace, expected = traced(ours), traced(literal)
    torch.testing.assert_close(trace.attention(2), expected.attention(2))
    torch.testing.assert_close(daam(trace).final, daam(expected).final)


def test_the_steps_are_those_of_the_operator_to_the_bit() -> None:
    """With what it returns besides, which it does on GPUs alone."""
    q, k, v = torch.randn(3, 2, HEADS, TOKENS, DIM, generator=torch.Generator().manual_seed(0))
    arguments = (q, k[:, :2], v[:, :2], capped, (None, near), 0.3, {})
    theirs = math_attention(*arguments)
    ours = flex_steps(arguments, lambda q, k, v, out, scale, change: out)
    assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("family", ["ViT", "Dinov2WithRegisters"])
def test_models_of_transformers_that_ask_for_it(family: str) -> None:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{family}Config")(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        image_size=32, patch_size=8, num_labels=5,
    )  # fmt: skip
    kind = getattr(transformers, f"{family}ForImageClassification")
    kind._supports_flex_attn = True
    torch.manual_seed(0)
    model = kind(config).double().eval()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = vaw.trace(model, images, 1)
    model.set_attn_implementation("flex_attention")
    trace = vaw.trace(model, images, 1)
    assert all(record.change is not None for record in trace.layers)
    torch.testing.assert_close(trace.logits, expected.logits)
    for layer in range(3):
        torch.testing.assert_close(trace.attention(layer), expected.attention(layer))
    torch.testing.assert_close(legrad(trace).final, legrad(expected).final)


@pytest.fixture
def compiled() -> Iterator[Callable[..., Tensor]]:
    yield torch.compile(flex_attention, backend="eager")
    torch.compiler.reset()


def test_compiled_it_runs_eagerly_while_it_is_looked_at(compiled: Callable[..., Tensor]) -> None:
    trace = traced(lambda q, k, v: compiled(q, k, v, with_bias))
    expected = traced(by_hand(lambda scores: scores + BIAS))
    torch.testing.assert_close(trace.attention(1), expected.attention(1))
    torch.testing.assert_close(trace.attention_gradient(1), expected.attention_gradient(1))


def test_nothing_changes_where_it_is_not_looked_at() -> None:
    """PyTorch's own refusal to differentiate on a CPU stays."""
    assert "torch.nn.attention.flex_attention" in sys.modules
    q = torch.randn(1, 1, 4, 8, requires_grad=True)
    traced(flex())
    with pytest.raises(NotImplementedError, match="backward on CPU"):
        flex_attention(q, q, q)
