"""Hidden layers of many tokens are computed again instead of being kept: the same numbers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from models import BY_NAME
from snapshots import untouched
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget.errors import CaptureError
from vit_attention_widget.tracing import run

MODULE = "vit_attention_widget.capture.hidden_layers"


def few_are_many(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every hidden layer counts as one of many tokens; the devices that got freed memory back."""
    given_back: list[object] = []
    monkeypatch.setattr(f"{MODULE}._TOKENS_PER_CHANNEL", 0)
    monkeypatch.setattr(f"{MODULE}._LARGE", 0)
    monkeypatch.setattr(run, "release", given_back.append)
    return given_back


def gradients(trace: vaw.Trace) -> list[Tensor]:
    """Of head outputs, tokens and norms."""
    layers = range(trace.num_layers)
    normed = (trace.normed_gradient(layer) for layer in layers)
    return [
        *(trace.output_gradient(layer) for layer in layers),
        *(trace.token_gradient(layer) for layer in layers),
        *(gradient for gradient in normed if gradient is not None),
    ]


@pytest.mark.parametrize("name", ["vit", "eva02", "siglip"])
def test_gradients_are_bit_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = BY_NAME[name].build(), BY_NAME[name].inputs()
    kept = vaw.trace(model, inputs, 1)
    expected, of_another = gradients(kept), gradients(kept.retarget(0))
    given_back = few_are_many(monkeypatch)
    with untouched(model):
        trace = vaw.trace(model, inputs, 1)
        assert torch.equal(trace.logits, kept.logits)
        assert all(map(torch.equal, gradients(trace), expected))
        assert all(map(torch.equal, gradients(trace.retarget(0)), of_another))
    assert given_back == [inputs.device]


@pytest.mark.parametrize("many", [False, True])
def test_the_graph_keeps_none_of_many_tokens(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model, hidden = BY_NAME["vit"].build(), list[Any]()
    for block in model.blocks:
        block.mlp.fc1.register_forward_hook(lambda _m, _a, out: hidden.append(weakref.ref(out)))
    given_back = few_are_many(monkeypatch) if many else []
    trace = vaw.trace(model, BY_NAME["vit"].inputs(), 1)
    assert trace.has_gradients
    assert [each() is None for each in hidden] == [many] * len(model.blocks)
    assert len(given_back) == many


def _other_mlp(mlp: Any, between: Callable[[Tensor], Tensor]) -> None:
    mlp.forward = lambda x: mlp.fc2(between(mlp.fc1(x)))


def test_what_is_written_to_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No linear layer of a norm gives those numbers."""
    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()
    _other_mlp(model.blocks[1].mlp, lambda hidden: F.gelu(hidden.add_(1)))
    expected = gradients(vaw.trace(model, inputs, 1))
    few_are_many(monkeypatch)
    assert all(map(torch.equal, gradients(vaw.trace(model, inputs, 1)), expected))


@pytest.mark.parametrize("many", [False, True])
def test_writing_to_what_is_kept_is_refused(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by PyTorch itself, which does not look at what hooks keep."""

    def gate(hidden: Tensor) -> Tensor:
        weights = torch.sigmoid(hidden * 2)
        gated = hidden * weights
        weights.zero_()
        return gated

    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()
    _other_mlp(model.blocks[1].mlp, gate)
    if many:
        few_are_many(monkeypatch)
    trace = vaw.trace(model, inputs, 1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        trace.output_gradient(0)


def _some_rows(mlp: Any) -> Any:
    """Patches alone, one image alone, and another order of the axes, each with its own numbers."""

    def forward(x: Tensor) -> Tensor:
        hidden = [mlp.fc1(part) for part in (x[:, 1:], x[1:], x.transpose(0, 1))]
        patches, image, turned = (mlp.fc2(F.gelu(each)) for each in hidden)
        return F.pad(patches, (0, 0, 1, 0)) + image + turned.transpose(0, 1)

    mlp.forward = forward
    return mlp


def _complex(mlp: Any) -> Any:
    """Pairs of numbers, turned as by rotary angles."""

    def between(hidden: Tensor) -> Tensor:
        pairs = torch.view_as_complex(hidden.unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * pairs).flatten(-2)

    _other_mlp(mlp, between)
    return mlp


def _by_name(mlp: Any) -> Any:
    linear = {"weight": mlp.fc1.weight, "bias": mlp.fc1.bias}
    mlp.forward = lambda x: mlp.fc2(F.gelu(F.linear(input=x, **linear)))
    return mlp


def _looked_at(mlp: Any) -> Any:
    """Another norm, of which no graph is kept; and tensors that have no storage."""

    def between(hidden: Tensor) -> Tensor:
        with torch.inference_mode():
            F.layer_norm(hidden, hidden.shape[-1:])
        assert torch.eye(2).to_sparse() * 2.0 is not None
        return F.gelu(hidden)

    _other_mlp(mlp, between)
    return mlp


@pytest.mark.parametrize("change", [_some_rows, _complex, _by_name, _looked_at])
def test_any_way_to_a_hidden_layer(
    change: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()
    change(model.blocks[1].mlp)
    expected = gradients(vaw.trace(model, inputs, 1))
    few_are_many(monkeypatch)
    assert all(map(torch.equal, gradients(vaw.trace(model, inputs, 1)), expected))


def test_tokens_that_autocast_leaves_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The norm's output is in bfloat16 already; the weights still have to be cast."""
    model = BY_NAME["vit"].build(torch.float32)
    inputs = BY_NAME["vit"].inputs(dtype=torch.float32)
    model.blocks[0].register_forward_pre_hook(lambda _m, args: (args[0].bfloat16(),))
    for block in model.blocks:
        block.register_forward_hook(lambda _m, _a, tokens: tokens.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        expected = gradients(vaw.trace(model, inputs, 1))
        few_are_many(monkeypatch)
        assert all(map(torch.equal, gradients(vaw.trace(model, inputs, 1)), expected))


def test_a_bias_that_was_written_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch keeps no bias, but the hidden layer cannot be computed again with another."""
    model = BY_NAME["vit"].build()
    mlp = model.blocks[1].mlp
    bias = mlp.fc1.bias.detach().clone()
    mlp.forward = lambda x: mlp.fc2(F.gelu(F.linear(x, mlp.fc1.weight, bias)))
    few_are_many(monkeypatch)
    trace = vaw.trace(model, BY_NAME["vit"].inputs(), 1)
    bias.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        trace.output_gradient(0)


@pytest.mark.parametrize("part", ["norm2", "mlp.fc1"])
@pytest.mark.parametrize("counted", [False, True])
def test_what_pytorch_does_not_see_written_is_refused(
    part: str, counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()

    def without_a_neuron(_m: object, _a: object, out: Tensor) -> None:
        (out if counted else out.data)[..., 5] = 0

    model.blocks[1].get_submodule(part).register_forward_hook(without_a_neuron)
    expected = gradients(vaw.trace(model, inputs, 1)) if counted else []
    few_are_many(monkeypatch)
    trace = vaw.trace(model, inputs, 1)
    if counted:
        assert all(map(torch.equal, gradients(trace), expected))
    else:
        with pytest.raises(CaptureError, match=r"PyTorch does not count \(\.data or NumPy\)"):
            gradients(trace)
