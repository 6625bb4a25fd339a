"""Smaller models: the masked model's logits, on every family, saved, loaded and pruned again."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from models import BY_NAME, MODELS, TINY, TinyModel
from renamed import warned

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError

HEADS = {0: [1], 2: [0]}


def logits(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(inputs)


def masked(model: torch.nn.Module, inputs: torch.Tensor, heads: vaw.prune_heads) -> torch.Tensor:
    with vaw.masked_heads(model, heads):
        return logits(model, inputs)


def size(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("tiny", MODELS)
def test_a_pruned_model_is_the_masked_one(tiny: TinyModel) -> None:
    model, inputs = tiny.build(), tiny.inputs()
    before = logits(model, inputs)
    small = vaw.prune_heads(model, HEADS)
    torch.testing.assert_close(logits(small, inputs), masked(model, inputs, HEADS))
    assert torch.equal(logits(model, inputs), before)
    record = vaw.pruning_of(small)
    assert {**record.cut, **record.zeroed} == {0: (1,), 2: (0,)}
    assert (size(small) < size(model)) == bool(record.cut)
    assert type(small) is type(model)


@pytest.mark.parametrize("tiny", MODELS)
def test_all_heads_of_a_layer_may_go(tiny: TinyModel) -> None:
    model, inputs = tiny.build(), tiny.inputs()
    gone = {1: list(range(tiny.heads))}
    small = vaw.prune_heads(model, gone)
    torch.testing.assert_close(logits(small, inputs), masked(model, inputs, gone))


@pytest.mark.parametrize("name", ["vit", "beit", "eva02", "dinov3"])
def test_a_pruned_model_can_be_traced_and_pruned_again(name: str) -> None:
    tiny = next(t for t in TINY if t.name.startswith(name))
    model, inputs = tiny.build(), tiny.inputs()
    small = vaw.prune_heads(model, {0: [0]})
    trace = vaw.trace(small, inputs)
    assert trace.num_heads == (1, 2, 2)
    torch.testing.assert_close(
        trace.attention(1, head=1),
        vaw.trace(model, inputs, head_mask={0: [0]}).attention(1, head=1),
    )
    for method in vaw.explainers.METHODS.values():
        assert torch.isfinite(method(trace).values).all()
    assert vaw.head_importance(small, inputs).values.shape == (2, 3, 2)
    smaller = vaw.prune_heads(small, {0: [0], 1: [1]})  # head 0 of those that are left is head 1
    assert vaw.pruning_of(smaller).cut == {0: (0, 1), 1: (1,)}
    expected = masked(model, inputs, {0: [0, 1], 1: [1]})
    torch.testing.assert_close(logits(smaller, inputs), expected)


@pytest.mark.parametrize("tiny", MODELS)
def test_it_saves_and_loads(tiny: TinyModel, tmp_path: Path) -> None:
    model, inputs = tiny.build(), tiny.inputs()
    small = vaw.prune_heads(model, HEADS)
    vaw.save_pruned(small, tmp_path / "small.safetensors")
    fresh = tiny.create().to(torch.float64).eval()
    loaded = vaw.load_pruned(fresh, tmp_path / "small.safetensors")
    torch.testing.assert_close(logits(loaded, inputs), logits(small, inputs))
    assert vaw.pruning_of(loaded) == vaw.pruning_of(small)


@pytest.mark.slow
def test_it_can_be_exported() -> None:
    model = timm.create_model("test_vit", num_classes=10).eval()
    small = vaw.prune_heads(model, HEADS)
    inputs = torch.randn(1, 3, 160, 160)
    exported = torch.export.export(small, (inputs,)).module()
    torch.testing.assert_close(exported(inputs), logits(small, inputs))


def test_gradients_flow_and_training_mode_stays() -> None:
    model = timm.create_model("test_vit", num_classes=10).train()
    small = vaw.prune_heads(model, HEADS)
    assert small.training
    assert small.blocks[0].attn.training
    small(torch.randn(2, 3, 160, 160)).sum().backward()
    assert small.blocks[0].attn.qkv.weight.grad is not None
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("heads", [{9: [0]}, {0: [2]}, {0: "a"}, [0]])
def test_heads_that_do_not_exist(heads: object) -> None:
    with pytest.raises(ParameterError):
        vaw.prune_heads(BY_NAME["vit"].build(), heads)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    small = vaw.prune_heads(timm.create_model("test_vit", num_classes=10), HEADS)
    path = tmp_path / "small.safetensors"
    vaw.save_pruned(small, path)
    with pytest.raises(ParameterError, match="do not fit"):
        vaw.load_pruned(timm.create_model("test_vit", num_classes=7), path)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ParameterError, match="holds no pruning: write it with save_pruned"):
        vaw.load_pruned(timm.create_model("test_vit"), path)


@pytest.mark.slow
def test_it_goes_through_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = timm.create_model("test_vit", num_classes=10).eval()
    small = vaw.prune_heads(model, HEADS)
    inputs = torch.randn(1, 3, 160, 160)
    path = tmp_path / "small.onnx"
    torch.onnx.export(small, (inputs,), path, dynamo=True, verbose=False)
    (through_onnx,) = onnxruntime.InferenceSession(path).run(
        None, {onnxruntime.InferenceSession(path).get_inputs()[0].name: inputs.numpy()}
    )
    torch.testing.assert_close(torch.tensor(through_onnx), logits(small, inputs), rtol=0, atol=1e-4)


class Adapted(torch.nn.Linear):
    """A layer that does more than its weight says, as adapters do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2


def test_what_was_added_to_an_attention_is_not_silently_dropped() -> None:
    model = timm.create_model("test_vit", num_classes=10)
    model.blocks[1].attn.qkv = Adapted(64, 192)
    with pytest.raises(vaw.errors.UnsupportedModelError, match=r"Layer 1.*qkv is a Adapted"):
        vaw.prune_heads(model, {1: [0]})
    vaw.prune_heads(model, {0: [0]})  # another layer is as it was
    model.blocks[2].attn.register_forward_hook(lambda *_: None)
    with pytest.raises(vaw.errors.UnsupportedModelError, match="there is a hook on"):
        vaw.prune_heads(model, {2: [0]})


def test_frozen_weights_stay_frozen() -> None:
    model = timm.create_model("test_vit", num_classes=10).requires_grad_(False)
    small = vaw.prune_heads(model, HEADS)
    assert not any(p.requires_grad for p in small.parameters())


def test_a_model_without_any_head_can_still_be_asked() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    small = vaw.prune_heads(model, {layer: [0, 1] for layer in range(3)})
    assert vaw.head_importance(small, inputs).values.numel() == 0


def test_files_of_the_first_release_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = timm.create_model("test_vit", num_classes=10).eval()
    small = vaw.prune_heads(model, HEADS)
    about = '{"cut": {"0": [1], "2": [0]}, "silenced": {}}'
    header = {"vit_attention_widget.pruning": about}
    state = {name: tensor.contiguous() for name, tensor in small.state_dict().items()}
    save_file(state, tmp_path / "small.safetensors", header)
    again = vaw.load_pruned(
        timm.create_model("test_vit", num_classes=10), tmp_path / "small.safetensors"
    )
    assert vaw.pruning_of(again) == vaw.pruning_of(small)
    with warned("Pruning.silenced is now Pruning.zeroed"):
        assert vaw.pruning_of(again).silenced == {}


def test_damaged_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "small.safetensors"
    with pytest.raises(ParameterError, match="There is no file"):
        vaw.load_pruned(timm.create_model("test_vit"), path)
    save_file({"a": torch.zeros(1)}, path, {"vit_attention_widget.pruning": '{"cut": 3}'})
    with pytest.raises(ParameterError, match="damaged"):
        vaw.load_pruned(timm.create_model("test_vit"), path)
