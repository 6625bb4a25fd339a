"""Heads cut for good out of models of every library: the masked model's outputs, and less to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from libraries import TINY, OwnModel, Tiny, adapted
from models import randomise
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.models import describe

HEADS = {0: [1], 2: [0]}
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


def decide(model: Any, inputs: Tensor = IMAGES) -> Tensor:
    with torch.no_grad():
        return describe(model).forward(inputs)


def masked(model: Any, heads: Any, inputs: Tensor = IMAGES) -> Tensor:
    with vaw.masked_heads(model, heads):
        return decide(model, inputs)


def own_part(model: nn.Module, small: nn.Module) -> Any:
    """What decides: the smaller model, or by itself where it was adapted."""
    return small if any(isinstance(m, OwnModel) for m in model.modules()) else describe(small)


def outputs(model: nn.Module, small: nn.Module) -> Tensor:
    part = own_part(model, small)
    with torch.no_grad():
        return part(IMAGES) if isinstance(part, nn.Module) else part.forward(IMAGES)


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
@pytest.mark.parametrize("heads", [HEADS, {1: [0, 1]}], ids=["some", "all of a layer"])
def test_the_smaller_model_is_the_masked_one(tiny: Tiny, heads: dict[int, list[int]]) -> None:
    model = tiny.build()
    given, before = adapted(model), {k: v.clone() for k, v in model.state_dict().items()}
    small = vaw.prune_heads(given, heads)
    torch.testing.assert_close(outputs(model, small), masked(given, heads), rtol=1e-9, atol=1e-9)
    assert type(small) is type(model)
    assert vaw.pruning_of(small).heads == {layer: tuple(each) for layer, each in heads.items()}
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_it_is_saved_and_loaded_and_pruned_again(tiny: Tiny, tmp_path: Path) -> None:
    model, path = tiny.build(), tmp_path / "small.safetensors"
    small = vaw.prune_heads(adapted(model), {0: [1]})
    expected = outputs(model, small)
    vaw.save_pruned(small, path)
    fresh = tiny.build()
    nn.init.zeros_(next(p for p in fresh.parameters() if p.ndim == 2))
    loaded = vaw.load_pruned(adapted(fresh), path)
    torch.testing.assert_close(outputs(model, loaded), expected, rtol=0, atol=0)
    if own_part(model, small) is small:
        return  # an adapted model's parts were said of the original alone
    again = vaw.prune_heads(small, {2: [0]})
    torch.testing.assert_close(outputs(model, again), masked(model, HEADS), rtol=1e-9, atol=1e-9)
    assert vaw.pruning_of(again).heads == {0: (1,), 2: (0,)}


class Values(nn.Module):
    """What a model returns first; the picture's part of models with two towers."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = getattr(model, "vision_model", model)

    def forward(self, images: Tensor) -> Tensor:
        output = self.model(images)
        return output if isinstance(output, Tensor) else output[0]


@pytest.mark.parametrize("name", ["hf-vit", "torchvision", "open-clip"])
def test_it_says_its_own_heads_before_it_is_run(name: str) -> None:
    model = next(t for t in TINY if t.name == name).build(torch.float32)
    assert describe(vaw.prune_heads(model, HEADS)).num_heads == (1, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hf-vit", "hf-dinov2", "torchvision", "open-clip", "own"])
def test_it_becomes_an_onnx_file(name: str) -> None:
    reference = pytest.importorskip("onnx.reference")
    pytest.importorskip("onnxscript")
    model = next(t for t in TINY if t.name == name).build(torch.float32)
    small = Values(vaw.prune_heads(adapted(model), HEADS)).eval()
    program = torch.onnx.export(small, (IMAGES.float(),), dynamo=True, verbose=False)
    assert program is not None
    session = reference.ReferenceEvaluator(program.model_proto)
    (made,) = session.run(None, {session.input_names[0]: IMAGES.float().numpy()})
    expected = small(IMAGES.float()).detach()
    torch.testing.assert_close(torch.tensor(made), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_it_is_traced_and_exported_and_has_less_to_do(tiny: Tiny) -> None:
    model = tiny.build(torch.float32)
    small = vaw.prune_heads(adapted(model), HEADS)
    part = own_part(model, small)
    if tiny.name != "hf-mae":  # it shuffles patches by chance
        program = torch.export.export(Values(small), (IMAGES.float(),)).module()
        torch.testing.assert_close(program(IMAGES.float()), Values(small)(IMAGES.float()))
    if not isinstance(part, nn.Module):
        trace = vaw.trace(part, IMAGES.float(), tiny.target)
        assert trace.num_heads == (1, 2, 1)
        assert vaw.explainers.daam(trace).final.isfinite().all()
    else:
        return  # PyTorch's fused encoder layer is not counted
    flops = []
    for forward in (describe(model).forward, part.forward):
        with FlopCounterMode(display=False) as counter:  # with gradients: fused layers do not count
            forward(IMAGES.float())
        flops.append(counter.get_total_flops())
    assert flops[1] < flops[0]


def test_models_that_hold_blocks_of_timm_are_cut() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = timm.create_model("test_vit", img_size=32, num_classes=0)
            self.head = nn.Linear(self.trunk.num_features, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.trunk(images))

    torch.manual_seed(0)
    holder = Holder().double().eval()
    given = vaw.adapt(
        holder,
        "trunk.blocks",
        lambda tokens: holder.head(holder.trunk.forward_head(holder.trunk.norm(tokens))),
        image_size=32,
        num_classes=3,
    )
    small = vaw.prune_heads(given, {0: [1]})
    with torch.no_grad(), vaw.masked_heads(given, {0: [1]}):
        expected = holder(IMAGES)
    torch.testing.assert_close(small(IMAGES).detach(), expected)
    assert small.trunk.blocks[0].attn.num_heads == holder.trunk.blocks[0].attn.num_heads - 1


class Counting(nn.Module):
    """Attention that uses its number of heads for something else too."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 2
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (
            linear(tokens).unflatten(-1, (self.num_heads, 8)).transpose(1, 2)
            for linear in (self.q, self.k, self.v)
        )
        out = nn.functional.scaled_dot_product_attention(q, k, v)
        return tokens + self.o(out.transpose(1, 2).flatten(2)) * self.num_heads


def test_a_smaller_model_that_decides_otherwise_is_refused() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 8, 8)
            self.blocks = nn.Sequential(Counting(), Counting())
            self.head = nn.Linear(16, 5)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.blocks(self.patch(images).flatten(2).mT).mean(1))

    model = Model().double().eval()
    given = vaw.adapt(
        model, "blocks", lambda t: model.head(t.mean(1)),
        patch_size=8, image_size=32, prefix=(), pool="mean",
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="does not decide as it does where they are"):
        vaw.prune_heads(given, {0: [1]})
    assert model.blocks[0].num_heads == 2


class Weighed(Counting):
    """The same, of little weight beside the tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + 0.01 * (super().forward(tokens) - tokens)


class Scaled(nn.Module):
    """Joined projections whose queries are scaled by a number that half precision does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 2
        self.qkv, self.proj = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        shape = (*tokens.shape[:2], 3, self.num_heads, tokens.shape[-1] // self.num_heads)
        q, k, v = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        out = (q * 0.3537 @ k.mT).softmax(-1) @ v
        return self.proj(out.transpose(1, 2).reshape(tokens.shape))


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(16), Scaled()

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.attn(self.norm(tokens))


class InTurn(nn.Module):
    """Lists of attention and feed-forward, which never run as modules."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([Scaled(), nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16))])
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(16)

    def forward(self, tokens: Tensor) -> Tensor:
        for attention, mlp in self.layers:
            tokens = tokens + attention(tokens)
            tokens = tokens + mlp(tokens)
        return self.norm(tokens)


class OfBlocks(nn.Module):
    """What a user may write around blocks; patches are averaged."""

    def __init__(self, blocks: nn.Module) -> None:
        super().__init__()
        self.patch, self.blocks, self.head = nn.Conv2d(3, 16, 8, 8), blocks, nn.Linear(16, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.patch(images).flatten(2).mT).mean(1))


def of_blocks(blocks: nn.Module, dtype: torch.dtype, path: str = "blocks") -> Any:
    torch.manual_seed(0)
    model = OfBlocks(blocks)
    randomise(model)
    model = model.to(dtype).eval()
    norm = getattr(model.blocks, "norm", nn.Identity())
    return vaw.adapt(
        model, path, lambda t: model.head(norm(t).mean(1)),
        patch_size=8, image_size=32, prefix=(), pool="mean",
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_wrong_cut_does_not_pass_for_rounding(dtype: torch.dtype) -> None:
    vit = of_blocks(nn.Sequential(Weighed(), Weighed()), dtype)
    with pytest.raises(UnsupportedModelError, match="does not decide as it does where they are"):
        vaw.prune_heads(vit, {0: [1]})
    assert vit.model.blocks[0].num_heads == 2


def test_a_model_in_half_precision_keeps_its_scale_and_type() -> None:
    vit = of_blocks(nn.Sequential(Normed(), Normed()), torch.bfloat16)
    small = vaw.prune_heads(vit, {0: [1]})
    assert {p.dtype for p in small.parameters()} == {torch.bfloat16}
    exact = of_blocks(nn.Sequential(Normed(), Normed()), torch.float64)
    exact.model.load_state_dict(vit.model.state_dict())
    with torch.no_grad(), vaw.masked_heads(exact, {0: [1]}):
        expected = exact.model(IMAGES)
    torch.testing.assert_close(small.double()(IMAGES).detach(), expected, rtol=1e-9, atol=1e-9)


def test_blocks_that_are_lists_of_modules_are_cut() -> None:
    vit = of_blocks(InTurn(), torch.float64, "blocks.layers")
    small = vaw.prune_heads(vit, {1: [0]})
    with torch.no_grad(), vaw.masked_heads(vit, {1: [0]}):
        expected = vit.model(IMAGES)
    torch.testing.assert_close(small(IMAGES).detach(), expected, rtol=1e-9, atol=1e-9)
    assert small.blocks.layers[1][0].num_heads == 1


def test_what_was_pruned_is_told_from_a_file_as_it_was(tmp_path: Path) -> None:
    tiny = next(t for t in TINY if t.name == "hf-vit")
    small, path = vaw.prune_heads(tiny.build(), {0: [0]}), tmp_path / "small.safetensors"
    none_left = vaw.prune_heads(small, {0: [0]})  # number 1 stands for both, with values of zero
    vaw.save_pruned(none_left, path)
    assert vaw.pruning_of(vaw.load_pruned(tiny.build(), path)) == vaw.pruning_of(none_left)


SCRIPT = """
import torch, transformers, vit_attention_widget as vaw
config = transformers.ViTConfig(
    hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
    image_size=32, patch_size=8, num_labels=5,
)
small = vaw.load_pruned(transformers.ViTForImageClassification(config), {path!r}).eval()
print(small(torch.ones(1, 3, 32, 32)).logits.tolist())
"""


@pytest.mark.slow
def test_the_file_loads_in_a_plain_script(tmp_path: Path) -> None:
    tiny = next(t for t in TINY if t.name == "hf-vit")
    small, path = vaw.prune_heads(tiny.build(torch.float32), HEADS), tmp_path / "small.safetensors"
    vaw.save_pruned(small, path)
    run = [sys.executable, "-c", SCRIPT.format(path=str(path))]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    expected = small(torch.ones(1, 3, 32, 32)).logits
    torch.testing.assert_close(torch.tensor(numbers_in(printed)), expected.detach())


def numbers_in(text: str) -> list[list[float]]:
    numbers: list[list[float]] = json.loads(text)
    return numbers
