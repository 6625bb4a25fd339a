"""However a model writes its attention: it is seen as it is, or refused by name.

Each spelling is one function of q, k and v; the same model with ``scaled_dot_product_attention`` is
what it must agree with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import timm
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

import vit_attention_widget as vaw
from vit_attention_widget.errors import CaptureError, UnsupportedModelError
from vit_attention_widget.explainers import daam, gmar, legrad, rollout
from vit_attention_widget.tracing.checks.attention import check_attention

HEADS, DIM, TOKENS, BATCH = 4, 8, 16, 2
BIAS = torch.randn(HEADS, TOKENS, TOKENS, generator=torch.Generator().manual_seed(3)).double()

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Attention(nn.Module):
    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.num_heads, self.attend = HEADS, attend
        self.qkv, self.proj = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, DIM)).permute(2, 0, 3, 1, 4)
        return x + self.proj(self.attend(q, k, v).transpose(1, 2).flatten(2))


class Model(nn.Module):
    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 8, 8)
        self.blocks = nn.Sequential(*(Attention(attend) for _ in range(3)))
        self.head = nn.Linear(32, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patch(x).flatten(2).mT).mean(1))


def traced(
    attend: Attend, batch: int = BATCH, *, differentiable: bool = True, **options: object
) -> vaw.Trace:
    """A trace of the model, whose logits are those of the model run by itself."""
    torch.manual_seed(0)
    model = Model(attend).double().eval()
    images = torch.randn(batch, 3, 32, 32, dtype=torch.float64)
    adapted = vaw.adapt(
        model, "blocks", lambda t: model.head(t.mean(1)),
        patch_size=8, image_size=32, prefix=(), pool="mean",
    )  # fmt: skip
    trace = vaw.trace(adapted, images, 3, **options)
    if "head_mask" not in options:
        with torch.set_grad_enabled(differentiable):
            torch.testing.assert_close(trace.logits.detach(), model(images).detach())
    return trace


def fused(bias: Tensor | None = None, scale: float = DIM**-0.5) -> Attend:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, bias, scale=scale)


def weights(q: Tensor, k: Tensor) -> Tensor:
    return (q @ k.mT * DIM**-0.5).softmax(-1)


def by_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = (torch.einsum("bhid,bhjd->bhij", q, k) * DIM**-0.5).softmax(-1)
    return torch.einsum("bhij,bhjd->bhid", a, v)


def by_einsum_tokens_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    a = (torch.einsum("b i h d, b j h d -> b h i j", q, k) * DIM**-0.5).softmax(-1)
    return torch.einsum("b h i j, b j h d -> b i h d", a, v).transpose(1, 2)


def by_einsum_values_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bhkd,bhqk->bhqd", v, weights(q, k))


def by_einsum_folded(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = weights(q, k).flatten(0, 1)
    return torch.einsum("nij,njd->nid", a, v.flatten(0, 1)).unflatten(0, (len(q), HEADS))


def by_bmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    folded_q, folded_k, folded_v = (t.flatten(0, 1) for t in (q, k, v))
    a = (torch.bmm(folded_q, folded_k.mT) * DIM**-0.5).softmax(-1)
    return torch.bmm(a, folded_v).view_as(q)


def by_baddbmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    folded_q, folded_k, folded_v = (t.flatten(0, 1) for t in (q, k, v))
    nothing = folded_q.new_empty(len(folded_q), TOKENS, TOKENS)
    scores = torch.baddbmm(nothing, folded_q, folded_k.mT, beta=0, alpha=DIM**-0.5)
    a = F.softmax(scores, dim=-1)
    return torch.bmm(a, folded_v).reshape(len(q), HEADS, TOKENS, DIM)


def by_fairseq(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Images and heads in one axis, joined over tokens without taking them apart."""
    a = weights(q, k).flatten(0, 1)
    out = torch.bmm(a, v.flatten(0, 1)).transpose(0, 1).contiguous()
    return out.view(TOKENS, len(q), HEADS * DIM).unflatten(-1, (HEADS, DIM)).permute(1, 2, 0, 3)


def scaled_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = q @ k.mT
    a *= DIM**-0.5
    return a.softmax(-1) @ v


def hidden_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = q @ k.mT * DIM**-0.5
    a[:, :, 1:3, 5:] = -torch.inf
    return a.softmax(-1) @ v


def hidden() -> Tensor:
    """The same as a bias; neither the first row nor the middle one is changed."""
    bias = torch.zeros(TOKENS, TOKENS).double()
    bias[1:3, 5:] = -torch.inf
    return bias


def divided_by_a_tensor(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / torch.sqrt(torch.tensor(float(DIM)))).softmax(-1) @ v


def divided_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT).div_(math.sqrt(DIM)).softmax(-1) @ v


def queries_scaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.matmul(q * DIM**-0.5, k.mT).softmax(-1).matmul(v)


def minus_the_maximum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT * DIM**-0.5
    scores = scores - scores.amax(-1, keepdim=True)
    return scores.softmax(-1) @ v


def clamped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * DIM**-0.5).clamp(-1e4, 1e4).softmax(-1) @ v


def by_exponentials(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    e = torch.exp(q @ k.mT * DIM**-0.5)
    return e / e.sum(-1, keepdim=True) @ v


def where_kept(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT * DIM**-0.5
    return torch.where(torch.ones_like(scores).bool(), scores, -torch.inf).softmax(-1) @ v


def transposed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Keys down, queries across, as in convolutional code: v^T A^T."""
    return (v.mT @ weights(q, k).mT).mT


def heads_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (t.transpose(0, 1) for t in (q, k, v))
    return (weights(q, k).clone() @ v).transpose(0, 1)


def bias_added(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * DIM**-0.5 + BIAS).softmax(-1) @ v


def bias_on_the_left(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (BIAS + q @ k.mT * DIM**-0.5).softmax(-1) @ v


def bias_by_baddbmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    bias = BIAS.repeat(len(q), 1, 1)
    scores = torch.baddbmm(bias, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=DIM**-0.5)
    return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).view_as(q)


def bias_by_addition_after_views(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As a decomposed relative position: the keys' axis is split into rows and columns."""
    scores = (q @ k.mT * DIM**-0.5).unflatten(-1, (4, 4)) + BIAS.unflatten(-1, (4, 4))
    return scores.flatten(-2).softmax(-1) @ v


def one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One head, [batch, token, dim] or [token, dim]."""
    return weights(q, k) @ v


def loop_with_cat(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = [one(q[:, h], k[:, h], v[:, h]) for h in range(HEADS)]
    return torch.cat(heads, dim=-1).unflatten(-1, (HEADS, DIM)).transpose(1, 2)


def loop_with_stack(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = [one(q[:, h], k[:, h], v[:, h]) for h in range(HEADS)]
    heads = [F.dropout(head, 0.1, training=False) for head in heads]
    return torch.stack(heads).permute(1, 0, 2, 3).contiguous()


def loop_with_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = [torch.einsum("bid,bjd->bij", q[:, h], k[:, h]) * DIM**-0.5 for h in range(HEADS)]
    heads = [torch.einsum("bij,bjd->bid", a.softmax(-1), v[:, h]) for h, a in enumerate(scores)]
    return torch.stack(heads, dim=1)


def loop_with_a_head_axis(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([one(*(t[:, h : h + 1] for t in (q, k, v))) for h in range(HEADS)], 1)


def loop_transposed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = [v[:, h].mT @ weights(q[:, h], k[:, h]).mT for h in range(HEADS)]
    return torch.cat(heads, 1).unflatten(1, (HEADS, DIM)).mT


def loop_fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    attend = F.scaled_dot_product_attention
    return torch.stack([attend(q[:, h], k[:, h], v[:, h]) for h in range(HEADS)], 1)


def loop_into_a_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.zeros(len(q), TOKENS, HEADS * DIM, dtype=q.dtype)
    for h in range(HEADS):
        out[..., h * DIM : (h + 1) * DIM] = one(q[:, h], k[:, h], v[:, h])
    return out.unflatten(-1, (HEADS, DIM)).transpose(1, 2)


def loop_over_images_and_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As in lessons: a matrix at a time, heads side by side, images below each other."""
    images = []
    for b in range(len(q)):
        heads = [one(q[b, h], k[b, h], v[b, h]) for h in range(HEADS)]
        images.append(torch.hstack(heads))
    joined = torch.cat([torch.unsqueeze(image, dim=0) for image in images])
    return joined.unflatten(-1, (HEADS, DIM)).transpose(1, 2)


def loop_over_heads_and_images(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = [
        torch.stack([one(q[b, h], k[b, h], v[b, h]) for b in range(len(q))]) for h in range(HEADS)
    ]
    return torch.stack(heads, 1)


def fused_in_one_axis(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = F.scaled_dot_product_attention(*(t.flatten(0, 1) for t in (q, k, v)))
    return out.unflatten(0, (len(q), HEADS))


def loop_with_bias(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = [
        (q[:, h] @ k[:, h].mT * DIM**-0.5 + BIAS[h]).softmax(-1) @ v[:, h] for h in range(HEADS)
    ]
    return torch.stack(heads, 1)


def loop_fused_with_bias(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    attend = F.scaled_dot_product_attention
    return torch.stack([attend(q[:, h], k[:, h], v[:, h], BIAS[h]) for h in range(HEADS)], 1)


HEAD_BY_HEAD = [
    loop_with_cat, loop_with_stack, loop_with_einsum, loop_with_a_head_axis, loop_transposed,
    loop_fused, loop_into_a_buffer, loop_over_images_and_heads, loop_over_heads_and_images,
]  # fmt: skip
PLAIN = [
    by_einsum, by_einsum_tokens_first, by_einsum_values_first, by_einsum_folded, by_bmm, by_baddbmm,
    by_fairseq, scaled_in_place, divided_by_a_tensor, divided_in_place, queries_scaled,
    minus_the_maximum, clamped, by_exponentials, where_kept, transposed, heads_first,
    fused_in_one_axis, *HEAD_BY_HEAD,
]  # fmt: skip
BIASED = [
    bias_added, bias_on_the_left, bias_by_baddbmm, bias_by_addition_after_views, loop_with_bias,
    loop_fused_with_bias,
]  # fmt: skip
SPELLINGS = [
    *((f, fused()) for f in PLAIN), *((f, fused(BIAS[None])) for f in BIASED),
    (hidden_in_place, fused(hidden())),
]  # fmt: skip


@pytest.mark.parametrize(("attend", "same"), SPELLINGS, ids=[f.__name__ for f, _ in SPELLINGS])
def test_every_spelling_is_the_same_attention(attend: Attend, same: Attend) -> None:
    trace, expected = traced(attend), traced(same)
    for layer in range(3):
        for values, wanted in (
            (trace.attention(layer), expected.attention(layer)),
            (trace.attention(layer, 1, [0, 5]), expected.attention(layer, 1, [0, 5])),
            (trace.attention_gradient(layer), expected.attention_gradient(layer)),
        ):
            torch.testing.assert_close(values, wanted)
    for explain in (daam, gmar, legrad, rollout):
        torch.testing.assert_close(explain(trace).final, explain(expected).final)


@pytest.mark.parametrize(("attend", "same"), SPELLINGS, ids=[f.__name__ for f, _ in SPELLINGS])
def test_heads_of_every_spelling_can_be_masked(attend: Attend, same: Attend) -> None:
    heads = {0: [1], 2: [0, 3]}
    trace, expected = traced(attend, head_mask=heads), traced(same, head_mask=heads)
    torch.testing.assert_close(trace.logits, expected.logits)
    torch.testing.assert_close(
        vaw.head_importance(traced(attend), metric="jsd").values,
        vaw.head_importance(traced(same), metric="jsd").values,
    )


def zeroed_for_a_picture(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1)
    out = torch.einsum("bhij,bhjd->bhid", a, v)
    a.detach()[:, :, 0, 0] = 0
    return out


def first_doubled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = F.scaled_dot_product_attention(q, k, v)
    out[:, :, 0] *= 2
    return out


@pytest.mark.parametrize("attend", [zeroed_for_a_picture, first_doubled])
@pytest.mark.parametrize("gradients", [True, False])
def test_attention_that_is_written_over_is_refused(attend: Attend, gradients: bool) -> None:
    with pytest.raises(CaptureError, match=r"writes into .* its attention"):
        traced(attend, gradients=gradients)


def scaled_afterwards(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (weights(q, k) * 0.5) @ v


def over_the_other_axis(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT).softmax(-2) @ v


def rows_dropped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    keep = torch.ones(TOKENS, 1, dtype=q.dtype)
    keep[3] = 0
    return (weights(q, k) * keep) @ v


def signed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (2 * torch.eye(TOKENS, dtype=q.dtype) - weights(q, k)) @ v


@pytest.mark.parametrize(
    ("attend", "seen"),
    [
        (scaled_afterwards, "rows sum to 0.5"),
        (over_the_other_axis, "rows sum to between"),
        (rows_dropped, "rows sum to between 0 and 1"),
        (signed, "negative entries"),
    ],
)
def test_what_is_no_attention_is_refused_with_what_was_seen(attend: Attend, seen: str) -> None:
    with pytest.raises(CaptureError, match=seen) as refused:
        traced(attend)
    assert "blocks.0" in str(refused.value)
    assert "[0, 1, 2]" in str(refused.value)


def test_fused_attention_that_is_not_used_as_it_was_computed_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An operation of one's own, which computes something else than it says."""
    real = torch._C._nn.scaled_dot_product_attention

    def wrong(*args: object, **kwargs: object) -> Tensor:
        return real(*args, **kwargs) * 1.01

    monkeypatch.setattr(F, "scaled_dot_product_attention", wrong)
    import vit_attention_widget.capture.function_mode as function_mode

    assert function_mode.F.scaled_dot_product_attention is wrong

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.overrides.handle_torch_function(wrong, (q,), q, k, v)

    with pytest.raises(CaptureError, match=r"off by 1\.0%"):
        traced(attend)


def head_major(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Heads before images in one axis."""
    q, k, v = (t.transpose(0, 1).flatten(0, 1) for t in (q, k, v))
    return torch.bmm(weights(q, k), v).view(HEADS, -1, TOKENS, DIM).transpose(0, 1)


@pytest.mark.parametrize("batch", [2, HEADS])
def test_heads_before_images_in_one_axis_are_refused_for_several_images(batch: int) -> None:
    with pytest.raises(UnsupportedModelError, match="one image at a time"):
        traced(head_major, batch)


def test_heads_before_images_in_one_axis_are_followed_for_one_image() -> None:
    trace, expected = traced(head_major, 1), traced(fused(), 1)
    torch.testing.assert_close(daam(trace).final, daam(expected).final)


def test_hooks_on_the_attentions_gradient_do_not_stand_in_the_way() -> None:
    """Code that explains itself registers them while it runs."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        a = weights(q, k)
        a.register_hook(lambda gradient: gradient).remove()
        a.retain_grad()
        return a @ v

    torch.testing.assert_close(daam(traced(attend)).final, daam(traced(fused())).final)


@pytest.mark.parametrize("fused", [True, False])
def test_sharp_attention_in_half_precision_is_not_rounded_further(fused: bool) -> None:
    """Scores of 50, rounded to 8 bits, would be other weights by a tenth."""
    model = timm.create_model("vit_tiny_patch16_224", depth=3, num_classes=5).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.fused_attn = fused
            weight = block.attn.qkv.weight
            noise = torch.randn(weight.shape, generator=generator) / weight.shape[1] ** 0.5
            noise[: 2 * weight.shape[1]] *= 4
            weight.copy_(noise)
    images = torch.randn(1, 3, 224, 224, generator=generator).bfloat16()
    trace = vaw.trace(model.bfloat16(), images, gradients=False)
    for record in trace.layers:
        maps = record.attention(slice(None), slice(None)).double()
        if record.weights is None:
            scores = record.q.double() @ record.k.double().mT * record.scale
            torch.testing.assert_close(maps, scores.softmax(-1), rtol=1e-3, atol=1e-5)
        else:  # the model rounds its scores so far itself that its weights alone are true
            torch.testing.assert_close(maps, record.weights.double())


def test_whoever_writes_into_attention_changes_no_record() -> None:
    """Also where the model's own weights were recorded, since its scores say less."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1).square()
        return (scores / scores.sum(-1, keepdim=True)) @ v

    trace = traced(attend)
    assert any(record.weights is not None for record in trace.layers)
    attention = trace.attention(0)
    expected = attention.clone()
    attention.zero_()
    assert torch.equal(trace.attention(0), expected)


def test_as_many_images_as_heads_are_told_apart_or_refused() -> None:
    trace, same = traced(by_einsum, HEADS), traced(fused(), HEADS)
    whole = slice(None)
    for record, expected in zip(trace.layers, same.layers, strict=True):
        torch.testing.assert_close(
            record.attention(whole, whole), expected.attention(whole, whole), rtol=1e-9, atol=1e-12
        )
    with pytest.raises(UnsupportedModelError, match="as many images as heads"):
        traced(heads_first, HEADS)


class Computing(TorchDispatchMode):
    """Counts operations but those that only look at a tensor in another way."""

    count = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: object = (), kwargs: object = None
    ) -> object:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("depth", [2, 12])
def test_fused_attention_of_all_layers_is_checked_at_once(depth: int) -> None:
    model = timm.create_model("vit_tiny_patch16_224", depth=depth, num_classes=5).eval()
    trace = vaw.trace(model, torch.randn(1, 3, 224, 224))
    with Computing() as computing:
        check_attention(trace.layers, trace.model)
    assert computing.count <= 16


@pytest.mark.parametrize("wrong", [0, 5, 11])
@pytest.mark.parametrize("masked", [{}, {0: [0], 5: [2], 11: [2]}])
def test_a_layer_whose_outputs_are_not_of_its_attention_is_named(
    wrong: int, masked: dict[int, list[int]]
) -> None:
    """Also where the head that is looked at first is masked."""
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5).eval()
    trace = vaw.trace(model, torch.randn(1, 3, 224, 224), gradients=False, head_mask=masked)
    check_attention(trace.layers, trace.model)
    records = list(trace.layers)
    records[wrong] = replace(records[wrong], out=records[wrong].out * 1.01)
    with pytest.raises(CaptureError, match=rf"layers \[{wrong}\].*off by 1\.0%"):
        check_attention(records, trace.model)
