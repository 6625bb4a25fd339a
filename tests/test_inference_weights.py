"""Weights that were made under inference mode: what needs no gradient works, the rest says why."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import CaptureError
from vit_attention_widget.explainers import daam, integrated_gradients, rollout
from vit_attention_widget.models.weights_state import WeightsState


def of_timm() -> nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, num_heads=2, depth=2,
        num_classes=5,
    )  # fmt: skip


def of_transformers() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=32, patch_size=8, num_labels=5,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


@pytest.mark.parametrize("make", [of_timm, of_transformers])
def test_without_gradients_it_works_and_with_them_it_names_the_way_out(
    make: Callable[[], nn.Module],
) -> None:
    with torch.inference_mode():
        model = make().eval()
    images = torch.randn(1, 3, 32, 32)
    trace = vaw.trace(model, images, 1, gradients=False)
    with pytest.raises(CaptureError, match=r"copy\.deepcopy\(model\)"):
        vaw.trace(model, images, 1)
    with pytest.raises(CaptureError, match=r"copy\.deepcopy\(model\)"):
        integrated_gradients(trace)
    usual = copy.deepcopy(model)
    expected = vaw.trace(usual, images, 1)
    torch.testing.assert_close(rollout(trace).final, rollout(expected).final)
    assert daam(expected).final.any()


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("turned", [False, True])
def test_float8_of_any_layout_is_sampled(dtype: torch.dtype, turned: bool) -> None:
    def held(values: Tensor) -> nn.Module:
        module = nn.Linear(4, 4)
        torch.nn.init.ones_(module.weight)
        torch.nn.init.ones_(module.bias)
        module.register_buffer("low", values.T if turned else values)
        return module

    values = torch.randn(8, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    other = values.view(torch.uint8).bitwise_xor(1).view(dtype)
    model = held(values)
    before = WeightsState.of(model)
    assert before.difference(model) is None
    model.low.data.view(torch.uint8).bitwise_xor_(1)
    assert before.difference(model) is not None
    assert WeightsState.of(model).sample == WeightsState.of(held(other)).sample
