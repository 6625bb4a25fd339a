"""What looking at a model leaves as it was, and what a model may keep from its last pass."""

from __future__ import annotations

import gc
import weakref

import timm
import torch
from others_code import Dino
from torch import Tensor, nn

import vit_attention_widget as vaw


def images() -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def tiny() -> nn.Module:
    model: nn.Module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=5,
    )  # fmt: skip
    return model.eval()


class _KeepsTensors(Dino):
    """Keeps a tuple of tensors of its last pass."""

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = super().forward(x)
        self.last = output.detach(), output.detach() * 2
        return output


class _HoldsItself(Dino):
    """Holds a method of itself in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = (self.forward,)


class _Counts(Dino):
    """Counts its passes in a buffer: one that is set, and one that is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("written", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.passes = self.passes + 1
        self.written += 1
        return super().forward(x)


class _Draws(Dino):
    """Draws random numbers even in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0 * torch.rand(1)


def test_tensors_that_a_model_keeps_in_a_tuple_are_no_reason_to_refuse_it() -> None:
    model = _KeepsTensors().eval()
    for _ in range(3):
        assert vaw.describe(model).readout_kind == "class"
        model(images())


def test_a_model_that_holds_itself_in_a_tuple_is_freed() -> None:
    model = _HoldsItself().eval()
    vaw.describe(model)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_measuring_counts_as_no_pass() -> None:
    model = _Counts().eval()
    passes, written = model.passes, model.written
    vaw.describe(model)
    assert model.passes is passes
    assert model.written is written
    assert not passes
    assert not written


def test_measuring_draws_none_of_the_users_random_numbers() -> None:
    model = _Draws().eval()
    state = torch.get_rng_state()
    vaw.describe(model)
    assert torch.equal(state, torch.get_rng_state())


def test_pruning_for_good_draws_none_of_the_users_random_numbers() -> None:
    model = tiny()
    state = torch.get_rng_state()
    small = vaw.prune_heads(model, {0: [1]})
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.device.type == "cpu" for parameter in small.parameters())


class _NormalizesInPlace(Dino):
    """Normalizes its input where it lies."""

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = super().forward(x.sub_(0.5).div_(0.25))
        return output


class _Normalizes(Dino):
    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = super().forward((x - 0.5) / 0.25)
        return output


def test_a_model_that_normalizes_its_input_in_place_is_always_given_the_images() -> None:
    torch.manual_seed(0)
    model, twin = _NormalizesInPlace().eval(), _Normalizes().eval()
    twin.load_state_dict(model.state_dict())
    inputs = images()
    traces = [vaw.trace(each, inputs, lambda f: f[:, 0]) for each in (model, twin)]
    assert torch.equal(inputs, images())
    assert torch.equal(traces[0].inputs, inputs)
    assert torch.equal(traces[0].logits, traces[1].logits)
    for method in (vaw.explainers.occlusion, vaw.explainers.integrated_gradients):
        first, second = (method(trace).final for trace in traces)
        assert torch.equal(first, second)
