"""Adapting a model: what is measured, what is said, and what the errors propose."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from models import randomise
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, UnsupportedModelError
from vit_attention_widget.explainers.methods.rollout import discarding
from vit_attention_widget.export.session_values import values_of
from vit_attention_widget.tracing.run import remask

SIZES = {"patch_size": 8, "image_size": 32}


def images(channels: int = 3, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, 32, 32, generator=generator).double()


def prepared(model: nn.Module) -> Any:
    randomise(model)
    return model.double().eval()


def vit(**options: Any) -> Any:
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", **{**settings, "num_classes": 5, **options})
    return prepared(model)


def same_maps(one: Any, other: Any) -> None:
    """Every method's maps, gradients and head ablation agree, also with a head masked."""
    for mask in (None, {1: [0]}):
        traces = [vaw.trace(m, images(), head_mask=mask) for m in (one, other)]
        torch.testing.assert_close(traces[0].logits, traces[1].logits)
        for layer in range(3):
            torch.testing.assert_close(*(t.attention(layer) for t in traces))
            torch.testing.assert_close(*(t.output_gradient(layer) for t in traces))
            torch.testing.assert_close(*(t.token_gradient(layer) for t in traces))
        for name, method in vaw.explainers.METHODS.items():
            torch.testing.assert_close(*(method(t).values for t in traces), msg=name)
    importance = [
        vaw.head_importance(m, images(), metric="probability").values for m in (one, other)
    ]
    torch.testing.assert_close(*importance)
    again = [remask(vaw.trace(m, images()), {2: [1]}).logits for m in (one, other)]
    torch.testing.assert_close(*again)


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_what_is_not_said_is_measured(pool: str) -> None:
    model = vit(global_pool=pool)
    adapted = vaw.adapt(model, "blocks", lambda t: model.forward_head(model.norm(t)), **SIZES)
    assert adapted.readout_kind == ("class" if pool == "token" else "mean")
    assert adapted._prefix == ("class",)
    assert adapted.num_heads == (2, 2, 2)
    same_maps(adapted, model)


@pytest.mark.parametrize("count", [0, 2])
def test_registers_and_no_class_token(count: int) -> None:
    model = vit(global_pool="avg", class_token=False, reg_tokens=count)
    read = lambda t: model.forward_head(model.norm(t))  # noqa: E731
    adapted = vaw.adapt(model, "blocks", read, **SIZES)
    assert adapted._prefix == tuple(f"register {i}" for i in range(count))
    same_maps(adapted, model)


# --- [token, batch, dim] ------------------------------------------------------------------------


class Encoder(nn.Module):
    """``nn.TransformerEncoder`` with the axes in either order."""

    def __init__(self, batch_first: bool, norm_first: bool, pool: str) -> None:
        super().__init__()
        self.patch, self.cls = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.zeros(1, 1, 16))
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, batch_first=batch_first, norm_first=norm_first, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head, self.batch_first, self.pool = nn.Linear(16, 5), batch_first, pool

    def read(self, tokens: Tensor) -> Tensor:
        tokens = tokens if self.batch_first else tokens.transpose(0, 1)
        return self.head(tokens[:, 0] if self.pool == "class" else tokens[:, 1:].mean(1))

    def forward(self, x: Tensor) -> Tensor:
        t = self.patch(x).flatten(2).mT
        t = torch.cat([self.cls.expand(len(x), -1, -1), t], 1)
        return self.read(self.encoder(t if self.batch_first else t.transpose(0, 1)))


@pytest.mark.parametrize("pool", ["class", "mean"])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 17])
def test_tokens_before_images(norm_first: bool, pool: str, batch: int) -> None:
    token_first, batch_first = (prepared(Encoder(o, norm_first, pool)) for o in (False, True))
    batch_first.load_state_dict(token_first.state_dict())
    one, other = (
        vaw.adapt(m, "encoder.layers", m.read, **SIZES) for m in (token_first, batch_first)
    )
    assert one.token_first
    assert not other.token_first
    if batch == 2:
        same_maps(one, other)
        return
    traces = [vaw.trace(m, images(batch=batch)) for m in (one, other)]
    for name, method in vaw.explainers.METHODS.items():
        torch.testing.assert_close(*(method(t).values for t in traces), msg=name)


class ClipBlock(nn.Module):
    """As in OpenAI's code."""

    def __init__(self) -> None:
        super().__init__()
        self.attn, self.ln_1, self.ln_2 = (
            nn.MultiheadAttention(16, 2),
            *(nn.LayerNorm(16) for _ in "12"),
        )
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Clip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.cls = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.zeros(1, 1, 16))
        self.resblocks = nn.Sequential(*[ClipBlock() for _ in range(3)])
        self.ln_post, self.proj = nn.LayerNorm(16), nn.Linear(16, 7, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        t = self.conv1(x).flatten(2).mT
        t = torch.cat([self.cls.expand(len(x), -1, -1), t], 1).permute(1, 0, 2)
        return self.proj(self.ln_post(self.resblocks(t)[0]))


def test_gradients_of_tokens_before_images_are_autograds() -> None:
    model = prepared(Clip())
    trace = vaw.trace(
        vaw.adapt(model, "resblocks", lambda t: model.proj(model.ln_post(t[0])), **SIZES),
        images(),
        3,
    )
    kept: dict[int, Tensor] = {}
    handles = [
        block.register_forward_hook(lambda _, __, out, i=i: kept.setdefault(i, out))
        for i, block in enumerate(model.resblocks)
    ]
    score = model(images())[:, 3].sum()
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(score, [kept[i] for i in range(3)])
    for layer, gradient in enumerate(gradients):
        torch.testing.assert_close(trace.token_gradient(layer), gradient.transpose(0, 1))
        torch.testing.assert_close(trace.layers[layer].output, kept[layer].detach().transpose(0, 1))


# --- blocks that are lists ----------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = 2
        self.norm, self.to_qkv, self.to_out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.to_qkv(self.norm(x)).unflatten(-1, (3, self.heads, 8))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = (q @ k.mT * 8**-0.5).softmax(-1) @ v
        return self.to_out(out.transpose(1, 2).flatten(2))


class Lists(nn.Module):
    """Attention and MLP in an ``nn.ModuleList`` a layer."""

    def __init__(self, factor: float = 1.0, final_norm: bool = True) -> None:
        super().__init__()
        self.patch, self.cls = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.zeros(1, 1, 16))
        mlp = lambda: nn.Sequential(  # noqa: E731
            nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)
        )
        self.layers = nn.ModuleList([nn.ModuleList([Attention(), mlp()]) for _ in range(3)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)
        self.factor = factor

    def read(self, t: Tensor) -> Tensor:
        return self.head(self.norm(t)[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        t = self.patch(x).flatten(2).mT
        t = torch.cat([self.cls.expand(len(x), -1, -1), t], 1)
        for attention, mlp in self.layers:
            t = attention(t) + t
            t = self.factor * mlp(t) + t
        return self.read(t)


class Joined(nn.Module):
    def __init__(self, parts: Any) -> None:
        super().__init__()
        self.attention, self.mlp = parts

    def forward(self, t: Tensor) -> Tensor:
        t = self.attention(t) + t
        return self.mlp(t) + t


class OfBlocks(Lists):
    def forward(self, x: Tensor) -> Tensor:
        t = self.patch(x).flatten(2).mT
        t = torch.cat([self.cls.expand(len(x), -1, -1), t], 1)
        for block in self.blocks:
            t = block(t)
        return self.read(t)


def test_blocks_that_are_lists_of_modules() -> None:
    model = prepared(Lists())
    joined: Any = OfBlocks()
    joined.load_state_dict(model.state_dict())
    joined.blocks = nn.ModuleList([Joined(layer) for layer in joined.layers])
    joined = joined.double().eval()
    one = vaw.adapt(model, "layers", model.read, **SIZES)
    other = vaw.adapt(joined, "blocks", joined.read, **SIZES)
    same_maps(one, other)
    with torch.no_grad(), vaw.masked_heads(one, {1: [0]}):
        torch.testing.assert_close(
            model(images()), vaw.trace(other, images(), head_mask={1: [0]}).logits
        )


def test_lists_are_proposed_to_adapt() -> None:
    with pytest.raises(UnsupportedModelError, match=r"vaw.adapt\(model, 'layers', readout\)"):
        vaw.describe(prepared(Lists()))


def test_attention_alone_listed_as_blocks() -> None:
    """What needs the tokens between blocks is refused, what needs attention alone is right."""
    model = prepared(Lists())
    whole = vaw.trace(vaw.adapt(model, "layers", model.read, **SIZES), images(), 1)
    alone = vaw.adapt(model, [layer[0] for layer in model.layers], model.read, **SIZES)
    trace = vaw.trace(alone, images(), 1)
    for name in ("daam", "gmar", "rollout", "attention", "gradcam"):
        explain = vaw.explainers.METHODS[name]
        torch.testing.assert_close(explain(trace).values, explain(whole).values)
    with pytest.raises(UnsupportedModelError):
        vaw.explainers.gradcam(trace, tokens="before")
    with pytest.raises(UnsupportedModelError):
        vaw.explainers.legrad(trace)
    with pytest.raises(UnsupportedModelError):
        vaw.head_importance(alone, images(), metric="probability")


def test_lists_that_run_in_another_way_are_refused() -> None:
    model = prepared(Lists(factor=0.5))
    with pytest.raises(UnsupportedModelError, match=r"does not run as x = x \+ part\(x\)"):
        vaw.adapt(model, "layers", model.read, **SIZES)


@pytest.mark.parametrize("kind", ["lists", "tokens first"])
def test_heads_are_cut_for_good(kind: str) -> None:
    model: Any = prepared(Lists() if kind == "lists" else Encoder(False, True, "class"))
    path = "layers" if kind == "lists" else "encoder.layers"
    adapted = vaw.adapt(model, path, model.read, **SIZES)
    small = vaw.prune_heads(adapted, {1: [0]})
    with torch.no_grad():
        with vaw.masked_heads(adapted, {1: [0]}):
            masked = model(images())
        torch.testing.assert_close(small(images()), masked)
    count = [sum(p.numel() for p in m.parameters()) for m in (small, model)]
    assert count[0] < count[1]


def test_a_copy_with_random_weights_is_adapted_anew() -> None:
    """A copy's size cannot be found where no position embedding says it."""
    check = vaw.evaluation.sanity_check

    def adapted(model: Any) -> Any:
        return vaw.adapt(model, "encoder.layers", model.read, **SIZES)

    one, other = (prepared(Encoder(order, True, "class")) for order in (False, True))
    with pytest.raises(ParameterError, match="describe_copy=lambda copy"):
        check(adapted(one), images()[:1], methods="daam")
    scores = [
        check(adapted(model), images()[:1], methods="daam", describe_copy=adapted).values
        for model in (one, other)
    ]
    torch.testing.assert_close(*scores)


# --- what is said -------------------------------------------------------------------------------


def test_said_and_not_so() -> None:
    model = vit()
    first = lambda t: model.head(model.norm(t)[:, 0])  # noqa: E731
    average = lambda t: model.head(model.norm(t)[:, 1:].mean(1))  # noqa: E731
    for pool, readout in (("mean", first), ("class", average), ("attention_pool", first)):
        with pytest.raises(ParameterError, match=r"pool is .* depends on .* leave pool out"):
            vaw.adapt(model, "blocks", readout, pool=pool, **SIZES)
    with pytest.raises(ParameterError, match="rows is"):
        vaw.adapt(model, "blocks", first, rows=(0, 1), **SIZES)
    with pytest.raises(ParameterError, match="num_heads is 8, but Block attends with 2 heads"):
        vaw.adapt(model, "blocks", first, num_heads=8, **SIZES)
    with pytest.raises(ParameterError, match="num_prefix=1"):
        vaw.adapt(model, "blocks", first, prefix=(), **SIZES)
    with pytest.raises(ParameterError, match="num_prefix=1"):
        vaw.adapt(model, "blocks", first, num_prefix=3, **SIZES)
    for said in ({}, {"num_prefix": 1}):
        with pytest.raises(ParameterError, match="patch_size=8 and num_prefix=1"):
            vaw.adapt(model, "blocks", first, patch_size=16, image_size=32, **said)
    assert vaw.adapt(model, "blocks", first, image_size=32)._patch == (8, 8)
    with pytest.raises(UnsupportedModelError, match=r"order \[0, 2, 1\].*blocks=\[blocks"):
        vaw.adapt(model, [model.blocks[i] for i in (0, 2, 1)], first, **SIZES)
    with pytest.raises(UnsupportedModelError, match="image_size="):
        vaw.adapt(model, "blocks", first)
    with pytest.raises(UnsupportedModelError, match="pool the tokens"):
        vaw.adapt(model, "blocks", model.norm, **SIZES)
    with pytest.raises(UnsupportedModelError, match="fails"):
        vaw.adapt(model, "blocks", lambda t: model.head(t[:, 0, 0]), **SIZES)


def test_five_lines_for_what_returns_more_than_logits() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vit = vit(in_chans=5)

        def forward(self, pixels: Tensor, scale: float) -> dict[str, Tensor]:
            return {"scores": scale * self.vit(pixels)}

    model = Wrapped()
    read = lambda t: model.vit.forward_head(model.vit.norm(t))  # noqa: E731
    said: dict[str, Any] = {**SIZES, "channels": 5}
    with pytest.raises(UnsupportedModelError, match="forward=lambda"):
        vaw.adapt(model, "vit.blocks", read, **said)
    with pytest.raises(UnsupportedModelError, match=r"model\(images\)\['scores'\]"):
        vaw.adapt(model, "vit.blocks", read, forward=lambda x: model(x, 1.0), **said)
    adapted = vaw.adapt(
        model, "vit.blocks", read, forward=lambda x: model(x, 1.0)["scores"],
        num_prefix=1, class_names=list("abcde"), **said,
    )  # fmt: skip
    trace = vaw.trace(adapted, images(5), "c")
    torch.testing.assert_close(trace.logits, model.vit(images(5)).detach())
    daam = vaw.explainers.daam
    torch.testing.assert_close(daam(trace).values, daam(vaw.trace(model.vit, images(5), 2)).values)


def test_the_model_is_untouched() -> None:
    model = vit()
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    vaw.adapt(model, "blocks", lambda t: model.forward_head(model.norm(t)), **SIZES)
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class ClassBehindRegisters(nn.Module):
    """Two registers, then the class token, then the patches."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.patch_embed, self.encoder = nn.Conv2d(3, 16, 8, 8), nn.TransformerEncoder(layer, 2)
        self.registers = nn.Parameter(torch.randn(1, 2, 16))
        self.cls_token = nn.Parameter(torch.randn(1, 1, 16))
        self.head, self.img_size = nn.Linear(16, 5), 32

    def forward(self, x: Tensor) -> Tensor:
        prefix = torch.cat([self.registers, self.cls_token], 1).expand(len(x), -1, -1)
        tokens = self.encoder(torch.cat([prefix, self.patch_embed(x).flatten(2).mT], 1))
        return self.head(tokens[:, 2])


def test_the_class_token_is_the_one_that_is_read() -> None:
    model, images = ClassBehindRegisters().eval(), torch.randn(1, 3, 32, 32)
    readout = lambda tokens: model.head(tokens[:, 2])  # noqa: E731
    for vit in (
        vaw.describe(model),
        vaw.adapt(model, "encoder.layers", readout, patch_size=8, image_size=32),
    ):
        assert vit.tokens(images).prefix == ("register 0", "register 1", "class")
    trace = vaw.trace(model, images)
    of_class = vaw.explainers.legrad(trace, readout="cls")
    torch.testing.assert_close(of_class.final, vaw.explainers.legrad(trace).final)
    whole = trace.attention(0).mean(1)
    fused = lambda layer: iter([(slice(None), whole)])  # noqa: E731
    ((_, kept),) = discarding(fused, 0.999, trace.tokens)(0)
    assert torch.equal(kept[..., 2], whole[..., 2])
    assert (kept == 0).sum() >= 19 * 18 - 1
    strength = vaw.attention_strength(model, images)
    own = trace.attention(1, query=2)[..., 2]
    torch.testing.assert_close(strength.class_to_class[:, 1], own)
    session = vaw.Session(model, images)
    assert session.selected_token == 2
    session.selected_token = 7
    session.wait()
    answers = values_of(session, (), attention=False).answers
    assert {name for part in answers.values() for name in part if name.startswith("rows")} == {
        f'rows direction="{direction}" token={token}'
        for direction in ("attends_to", "attended_by")
        for token in (2, 7)
    }
    session.close()
