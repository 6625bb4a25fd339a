"""Models of code that is no library's: right by their own forward pass, without a word from us."""

from __future__ import annotations

import pytest
import torch
from models import randomise
from others_code import READ, Attention, Dino, TwoTowers
from snapshots import untouched
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError


def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


def build(name: str) -> nn.Module:
    model = READ[name][0]()
    randomise(model)
    return model.double().eval()


def attention_by_hand(model: nn.Module, block: nn.Module) -> Tensor:
    """A block's attention from what it was given, by the equation."""
    inputs: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.no_grad():
        model(images())
    handle.remove()
    attn = block.attn
    if isinstance(attn, nn.MultiheadAttention):
        tokens = block.ln_1(inputs[0])  # [token, batch, dim]
        with torch.no_grad():
            return attn(tokens, tokens, tokens, average_attn_weights=False)[1]
    tokens = block.norm1(inputs[0])
    q, k, _ = attn.qkv(tokens).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    scores = q @ k.mT / 8**0.5
    table = getattr(attn, "relative_position_bias_table", None)
    return (scores if table is None else scores + table).softmax(-1)


@pytest.mark.parametrize("name", READ)
def test_they_are_read_as_they_run(name: str) -> None:
    model, expected = build(name), READ[name][1]
    with torch.no_grad():
        plain = model(images())
    plain = plain["logits"] if isinstance(plain, dict) else plain
    with untouched(model):
        vit = vaw.describe(model)
        trace = vaw.trace(vit, images(), None if expected[3] else lambda f: f[:, 0])
    if name == "OpenAI's CLIP":  # PyTorch's fused encoder, which function modes switch off
        torch.testing.assert_close(trace.logits, plain, rtol=1e-12, atol=1e-12)
    else:
        assert torch.equal(trace.logits, plain)
    read = trace.tokens.prefix, vit.readout_kind, vit.readout_rows, vit.num_classes
    assert read == expected
    with torch.no_grad():
        torch.testing.assert_close(vit.readout(trace.layers[-1].output), plain)
    for layer, block in enumerate(vit.blocks):
        by_hand = attention_by_hand(model, block)
        torch.testing.assert_close(trace.attention(layer), by_hand)
    for method, explain in vaw.explainers.METHODS.items():
        values = explain(trace).values
        assert values.isfinite().all(), method
        assert values.shape == (2, 3, 4, 4)


@pytest.mark.parametrize("name", ["BEiT", "MAE", "DeiT distilled", "a wrapper that normalizes"])
def test_gradients_are_those_of_the_whole_model(name: str) -> None:
    model = build(name)
    trace = vaw.trace(model, images(), 1)
    for layer, block in enumerate(trace.model.blocks):
        kept: list[Tensor] = []
        handle = block.attn.proj.register_forward_pre_hook(
            lambda _, args, kept=kept: kept.append(args[0])
        )
        logits = model(images())
        handle.remove()
        logits = logits["logits"] if isinstance(logits, dict) else logits
        (by_autograd,) = torch.autograd.grad(logits[:, 1].sum(), kept[0])
        by_head = by_autograd.unflatten(-1, (2, 8)).transpose(1, 2)
        torch.testing.assert_close(trace.output_gradient(layer), by_head)


class _Shuffled(Dino):
    """Its patches run from the last to the first."""

    def prepare_tokens(self, x: Tensor) -> Tensor:
        tokens = super().prepare_tokens(x)
        return torch.cat([tokens[:, :1], tokens[:, 1:].flip(1)], 1)


class _Behind(Dino):
    """Its class token follows the patches."""

    def prepare_tokens(self, x: Tensor) -> Tensor:
        return super().prepare_tokens(x).roll(-1, 1)


@pytest.mark.parametrize("kind", [_Shuffled, _Behind])
def test_patches_elsewhere_are_refused(kind: type[Dino]) -> None:
    with pytest.raises(UnsupportedModelError, match="patches row by row"):
        vaw.describe(kind().eval())


def test_a_model_in_training_mode_is_measured_in_evaluation_mode() -> None:
    model = build("BEiT").train()
    state = torch.get_rng_state()
    vit = vaw.describe(model)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert all(module.training for module in model.modules())
    trace = vaw.trace(vit, images(), 1)
    with torch.no_grad():
        torch.testing.assert_close(trace.logits, model.eval()(images()))


def test_a_head_that_begins_with_zeros_is_measured_all_the_same() -> None:
    model = build("BEiT")
    nn.init.zeros_(model.head.weight)
    vit = vaw.describe(model)
    assert (vit.readout_kind, vit.num_classes) == ("mean", 5)
    assert not model.head.weight.any()


def test_two_towers_by_openais_names_take_prompts() -> None:
    model = TwoTowers()
    randomise(model)
    model = model.double().eval()

    def tokenize(texts: list[str]) -> Tensor:
        return torch.tensor([[ord(letter) % 99 for letter in text[:5]] for text in texts])

    prompts = ["a cat", "a dog", "birds"]
    with torch.no_grad():
        theirs = model(images(), tokenize(prompts))
    trace = vaw.trace(vaw.zero_shot(model, prompts, tokenizer=tokenize), images(), 1)
    torch.testing.assert_close(trace.logits, theirs)
    with torch.no_grad():
        torch.testing.assert_close(trace.model.readout(trace.layers[-1].output), theirs)
    for name, method in vaw.explainers.METHODS.items():
        assert method(trace).values.isfinite().all(), name
    by_features = vaw.zero_shot(model, prompts, features=model.encode_text(tokenize(prompts)))
    torch.testing.assert_close(vaw.trace(by_features, images(), 1).logits, theirs)


class _Checking(Attention):
    """Images and heads in one axis, whose size is checked before it is taken apart (OWL-ViT)."""

    def forward(self, x: Tensor) -> Tensor:
        batch, count, dim = x.shape
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = (part.flatten(0, 1) for part in qkv)
        weights = torch.bmm(q * self.scale, k.mT).softmax(-1)
        out = torch.bmm(weights, v)
        if out.size() != (batch * self.num_heads, count, dim // self.num_heads):
            raise ValueError
        out = out.view(batch, self.num_heads, count, -1).transpose(1, 2)
        return self.proj(out.reshape(batch, count, dim))


def test_the_size_of_head_outputs_may_be_asked_for() -> None:
    written = Dino()
    for block in written.blocks:
        block.attn = _Checking()
    randomise(written)
    written = written.double().eval()
    one = images()[:1]  # with as many images as heads it would be refused
    trace = vaw.trace(written, one, lambda features: features[:, 0])
    for layer, block in enumerate(written.blocks):
        torch.testing.assert_close(trace.attention(layer), attention_by_hand(written, block)[:1])
