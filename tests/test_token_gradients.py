"""Gradients with respect to tokens and norms: autograd's own, from as few passes as may be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import timm
import torch
from models import BY_NAME, MODELS, TinyModel
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.tracing.gradients import token_gradients


@pytest.mark.parametrize(
    ("name", "norm"),
    [("vit_pwee_patch16_reg1_gap_256", "in_norm"), ("vit_tiny_patch16_224", "norm1")],
)
def test_gradients_of_norms_take_every_way_that_leaves_them(name: str, norm: str) -> None:
    """In a parallel block the MLP reads what the attention reads; held against plain autograd."""
    model = timm.create_model(name, img_size=64, embed_dim=16, depth=3, num_heads=2)
    model, inputs = model.double().eval(), torch.randn(2, 3, 64, 64).double()
    normed = list[Tensor]()
    for block in model.blocks:
        getattr(block, norm).register_forward_hook(lambda _m, _a, out: normed.append(out))
    logits = model(inputs)
    expected = torch.autograd.grad(logits[:, 1].sum(), normed)
    trace = vaw.trace(model, inputs, 1)
    for layer, gradient in enumerate(expected):
        torch.testing.assert_close(trace.normed_gradient(layer), gradient, rtol=1e-9, atol=1e-12)


def test_a_norm_that_passes_its_input_on_begins_no_graph() -> None:
    """Its output is the block's input: gradients without the residual connection are not its."""
    tiny, normed = BY_NAME["vit"], list[Tensor]()
    model, inputs = tiny.build(), tiny.inputs()
    for block in model.blocks:
        block.norm1 = nn.Identity()
        block.norm1.register_forward_hook(lambda _m, _a, out: normed.append(out))
    expected = torch.autograd.grad(model(inputs)[:, 1].sum(), normed)
    trace = vaw.trace(model, inputs, 1)
    assert trace.normed_gradient(0) is None
    for layer in range(1, trace.num_layers):
        torch.testing.assert_close(trace.normed_gradient(layer), expected[layer])


@pytest.mark.parametrize("tiny", MODELS)
def test_gradients_of_tokens_come_with_those_of_the_heads(
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one backward pass, but for a norm below the attention of the first or last block."""
    trace = vaw.trace(tiny.build(), tiny.inputs(), 1)
    expected = token_gradients(trace.forward_pass, trace.target)
    trace.output_gradient(0)
    assert trace._beside_them is not None
    ends, whole = (trace.layers[0], trace.layers[-1]), torch.autograd.grad

    def of_one_norm(
        starts: Sequence[Tensor], wanted: Sequence[Tensor], *more: object, **options: object
    ) -> object:
        assert any(
            any(starts[0] is above for above in (end.out, end.output))
            and wanted[0] is end.block.normed
            for end in ends
        )
        return whole(starts, wanted, *more, **options)

    monkeypatch.setattr(torch.autograd, "grad", of_one_norm)
    for layer, (tokens, normed) in enumerate(expected):
        torch.testing.assert_close(trace.token_gradient(layer), tokens, rtol=1e-9, atol=1e-12)
        if normed is None:
            assert trace.normed_gradient(layer) is None
        else:
            torch.testing.assert_close(trace.normed_gradient(layer), normed, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tiny", MODELS)
def test_large_gradients_of_tokens_take_one_pass(
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vit_attention_widget.tracing.gradients._SMALL", 0)
    trace = vaw.trace(tiny.build(), tiny.inputs(), 1)
    trace.token_gradient(0)
    assert trace._output_gradients is None
    trace.output_gradient(0)
    assert trace._beside_them is None
