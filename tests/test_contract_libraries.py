"""The ways of holding and running a model, for every library besides timm.

As ``test_contract`` and ``test_ways_of_holding_a_model`` have them for timm: precision, modes,
wrappers, batches and shapes change nothing but the rounding, and leave nothing behind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from libraries import MODELS, TINY, Tiny, adapted
from snapshots import untouched
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers

Maps = dict[str, Tensor]

# How alike (cosine) a map must be to that in float32. Rounding is 2^-9 in bfloat16 and 2^-12 in
# float16; random weights of three layers multiply it, and a relu may drop what lies near 0.
LIKENESS = {torch.bfloat16: 0.95, torch.float16: 0.99}


@pytest.fixture(params=MODELS)
def tiny(request: pytest.FixtureRequest) -> Tiny:
    return request.param


def images(batch: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(dtype)


def maps_of(trace: vaw.Trace) -> Maps:
    return {name: method(trace).values for name, method in explainers.METHODS.items()}


def target(tiny: Tiny) -> Any:
    """A class for each image, so that rounding cannot change which is explained."""
    return [1, 2] if tiny.classes else tiny.target


def expected(tiny: Tiny) -> tuple[nn.Module, Maps]:
    """The model in float32, and the maps that all ways of running it must give."""
    model = tiny.build(torch.float32)
    return model, maps_of(vaw.trace(adapted(model), images(), target(tiny)))


def alike(result: Maps, plain: Maps, cosine: float) -> None:
    for name, values in result.items():
        assert values.isfinite().all(), name
        likeness = torch.cosine_similarity(values.float().flatten(1), plain[name].flatten(1))
        assert (likeness > cosine).all(), (name, likeness)


def same(result: Maps, plain: Maps, tolerance: float = 0.0) -> None:
    for name, values in result.items():
        scale = float(plain[name].abs().max())
        torch.testing.assert_close(
            values, plain[name], rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


# --- precision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", LIKENESS)
def test_half_precision(tiny: Tiny, dtype: torch.dtype) -> None:
    model, plain = expected(tiny)
    half = copy.deepcopy(model).to(dtype)
    vit = vaw.describe(adapted(half))
    with untouched(half):
        trace = vaw.trace(vit, images(), target(tiny))
        assert trace.logits.dtype == dtype
        alike(maps_of(trace), plain, LIKENESS[dtype])
        importance = vaw.head_importance(vit, images(), target(tiny), metric="taylor")
    assert importance.values.isfinite().all()


@pytest.mark.parametrize("explained_inside", [False, True])
def test_autocast(tiny: Tiny, explained_inside: bool) -> None:
    model, plain = expected(tiny)
    vit = vaw.describe(adapted(model))
    with untouched(model):
        with torch.autocast("cpu", torch.bfloat16):
            trace = vaw.trace(vit, images(), target(tiny))
            vaw.head_importance(vit, images(), target(tiny), metric="taylor")
        with torch.autocast("cpu", torch.bfloat16, enabled=explained_inside):
            alike(maps_of(trace), plain, LIKENESS[torch.bfloat16])


def test_channels_last(tiny: Tiny) -> None:
    model, plain = expected(tiny)
    model = model.to(memory_format=torch.channels_last)
    given = images().to(memory_format=torch.channels_last)
    with untouched(model):
        same(maps_of(vaw.trace(adapted(model), given, target(tiny))), plain, 1e-4)
    assert given.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cuda(tiny: Tiny, dtype: torch.dtype) -> None:
    model, plain = expected(tiny)
    model = model.to("cuda", dtype)
    maps = maps_of(vaw.trace(adapted(model), images(), target(tiny)))
    assert all(values.is_cuda for values in maps.values())
    maps = {name: values.cpu() for name, values in maps.items()}
    alike(maps, plain, 0.999 if dtype == torch.float32 else LIKENESS[dtype])


# --- modes ---------------------------------------------------------------------------------------


def test_training_mode_with_gradients_and_frozen_parts(tiny: Tiny) -> None:
    model, plain = expected(tiny)
    vit = vaw.describe(adapted(model))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    for name, parameter in model.named_parameters():  # as after a step of fine-tuning
        parameter.grad = torch.ones_like(parameter)
        parameter.requires_grad_("1" in name)
    model.train()
    vit.blocks[1].eval()  # a part that the user froze stays in its own mode
    with untouched(model):
        same(maps_of(vaw.trace(vit, images(), target(tiny))), plain)
    assert model.training
    assert not vit.blocks[1].training
    model.requires_grad_(False)
    with untouched(model):
        same(maps_of(vaw.trace(vit, images(), target(tiny))), plain)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("made_inside", [False, True])
def test_the_callers_gradient_mode_does_not_matter(
    tiny: Tiny, mode: Callable[[], torch.no_grad], made_inside: bool
) -> None:
    model, plain = expected(tiny)
    given = images()
    with untouched(model):
        with mode():
            trace = vaw.trace(adapted(model), given.clone() if made_inside else given, target(tiny))
            same(maps_of(trace), plain)
        same(maps_of(trace), plain)  # as in the next cell
        trace = vaw.trace(adapted(model), given, target(tiny))
        with mode():
            same(maps_of(trace), plain)


def test_a_batch_equals_its_images_one_by_one(tiny: Tiny) -> None:
    vit, given = vaw.describe(adapted(tiny.build())), images(3, torch.float64)
    wanted = [4, 0, 2] if tiny.classes else [tiny.target] * 3
    batch = maps_of(vaw.trace(vit, given, wanted if tiny.classes else tiny.target))
    singles = [maps_of(vaw.trace(vit, given[i], wanted[i])) for i in range(3)]
    # attention that transformers writes out has its softmax in float32
    whole = {name: torch.cat([single[name] for single in singles]) for name in batch}
    same(batch, whole, 1e-5 if "eager" in tiny.name else 1e-9)


# --- wrappers ------------------------------------------------------------------------------------


def _wrapped(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def _in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def _its_blocks(model: nn.Module) -> nn.Module:
    for block in vaw.describe(adapted(model)).blocks:
        block.compile(backend="eager")
    return model


COMPILED = {"wrapped": _wrapped, "in-place": _in_place, "blocks": _its_blocks}
SOME = ["hf-vit", "hf-vit-eager", "hf-siglip-vision", "torchvision", "open-clip", "own"]


@pytest.mark.slow
@pytest.mark.parametrize("how", COMPILED)
@pytest.mark.parametrize("name", SOME)
def test_compiled_models(name: str, how: str) -> None:
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    model, plain = expected(tiny)
    compiled = COMPILED[how](model)
    try:
        with torch.no_grad():
            called = compiled(images())  # so that there is compiled code to be met
        vit = vaw.describe(adapted(compiled))
        assert ("without torch.compile" in vit.name) == (how == "wrapped")
        with untouched(model):
            same(maps_of(vaw.trace(vit, images(), target(tiny))), plain, 1e-4)
            mask = {0: [0], 2: [1]}
            masked = vaw.trace(vit, images(), target(tiny), head_mask=mask).logits
            with torch.no_grad(), vaw.masked_heads(vit, mask):
                torch.testing.assert_close(vit.forward(images()), masked, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            assert type(compiled(images())) is type(called)
    finally:
        torch.compiler.reset()


def test_data_parallel(tiny: Tiny) -> None:
    model, plain = expected(tiny)
    wrapper = nn.DataParallel(model)
    vit = vaw.describe(adapted(wrapper))
    assert "without DataParallel" in vit.name
    with untouched(model):
        same(maps_of(vaw.trace(vit, images(), target(tiny))), plain)
