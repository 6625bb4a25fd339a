"""One contract for every family: right, and without a trace of us on the user's model."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable

import pytest
import timm
import torch
from models import BY_NAME, MODELS, SOME, TinyModel
from snapshots import untouched
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import (
    CaptureError,
    ImageError,
    JobCancelled,
    TargetError,
    UnsupportedModelError,
)


@pytest.fixture(params=MODELS)
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return request.param


@pytest.fixture(params=SOME)
def some(request: pytest.FixtureRequest) -> TinyModel:
    return request.param


def explain_everything(model: nn.Module, inputs: Tensor) -> None:
    trace = vaw.trace(model, inputs)
    for method in explainers.METHODS.values():
        method(trace)
    for metric in ("probability", "taylor"):
        vaw.head_importance(model, inputs, metric=metric)
    with torch.no_grad(), vaw.masked_heads(model, {0: [0]}):
        model(inputs)


# --- geometry ------------------------------------------------------------------------------------


def test_geometry(tiny: TinyModel) -> None:
    model = tiny.build(torch.float32)
    trace = vaw.trace(model, tiny.inputs(dtype=torch.float32))
    layout = trace.tokens
    assert layout.prefix == tiny.prefix
    assert (layout.rows, layout.cols) == (tiny.rows, tiny.cols)
    patch = model.patch_embed.patch_size
    assert (layout.patch_height, layout.patch_width) == patch
    assert layout.image_height >= tiny.height
    assert layout.image_width >= tiny.width
    assert trace.num_layers == len(trace.layers) == tiny.layers
    assert trace.num_heads == (tiny.heads,) * tiny.layers
    assert trace.model.readout_kind == tiny.readout
    assert trace.model.num_classes == 5
    tokens = len(tiny.prefix) + tiny.rows * tiny.cols
    for record in trace.layers:
        for tensor in (record.q, record.k, record.v, record.out):
            assert tensor.shape == (2, tiny.heads, tokens, 16 // tiny.heads)
        assert record.input.shape == record.output.shape == (2, tokens, 16)


def test_the_records_are_the_models_own(tiny: TinyModel) -> None:
    """Attention times values is the head output; a block's output is the next one's input."""
    model = tiny.build()
    trace = vaw.trace(model, tiny.inputs())
    for layer, record in enumerate(trace.layers):
        attention = trace.attention(layer)
        torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention[..., 0]))
        torch.testing.assert_close(attention @ record.v, record.out)
    for lower, upper in zip(trace.layers, trace.layers[1:], strict=False):
        assert torch.equal(lower.output, upper.input)
    with torch.no_grad():
        torch.testing.assert_close(trace.model.readout(trace.layers[-1].output), trace.logits)


# --- untouched, bit-equal ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_logits_are_bit_equal(tiny: TinyModel, dtype: torch.dtype) -> None:
    model, inputs = tiny.build(dtype), tiny.inputs(dtype=dtype)
    with torch.no_grad():
        plain = model(inputs)
        with vaw.masked_heads(model, {}):
            assert torch.equal(model(inputs), plain)
    assert torch.equal(vaw.trace(model, inputs).logits, plain)
    assert torch.equal(vaw.trace(model, inputs, gradients=False).logits, plain)
    with torch.no_grad():
        assert torch.equal(model(inputs), plain)


def test_the_model_is_untouched_by_success(tiny: TinyModel) -> None:
    model, inputs = tiny.build(torch.float32), tiny.inputs(dtype=torch.float32)
    given = inputs.clone()
    with untouched(model):
        explain_everything(model, inputs)
    assert torch.equal(inputs, given)
    assert not inputs.requires_grad


class BrokenError(Exception):
    """Raised by the test in the middle of a computation."""


def stop_after(calls: int, error: Exception) -> Callable[[float, str], None]:
    count = 0

    def progress(fraction: float, label: str) -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise error

    return progress


@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize("error", [BrokenError, JobCancelled])
def test_the_model_is_untouched_by_errors_and_cancel(
    some: TinyModel, calls: int, error: type[Exception]
) -> None:
    model, inputs = some.build(torch.float32).train(), some.inputs(dtype=torch.float32)
    with untouched(model), pytest.raises(error):
        vaw.trace(model, inputs, progress=stop_after(calls, error("stop")))
    # What was computed before an error is returned with it; a cancel is always raised.
    raises = pytest.raises(error) if error is JobCancelled else contextlib.nullcontext()
    with untouched(model), raises, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            stopped = vaw.head_importance(model, inputs, progress=stop_after(calls, error("stop")))
        except BrokenError:
            stopped = None
    if error is BrokenError:
        assert stopped is None or isinstance(stopped.error, BrokenError)
    explain_everything(model, inputs)


def test_the_model_is_untouched_by_bad_input(some: TinyModel) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    broken = inputs.clone()
    broken[1, 0, 3, 3] = torch.nan
    with untouched(model):
        for run in (vaw.trace, vaw.head_importance):
            with pytest.raises(TargetError):
                run(model, inputs, target=5)
            with pytest.raises(ImageError):
                run(model, broken)
        with pytest.raises(TargetError, match="returned"):
            vaw.trace(model, inputs, target=lambda logits: logits)
        with pytest.raises(BrokenError), vaw.masked_heads(model, {0: [1]}):
            raise BrokenError


def test_the_model_is_untouched_by_an_error_inside_its_forward_pass(some: TinyModel) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)

    def explode(*_: object) -> None:
        raise BrokenError

    handle = model.blocks[1].mlp.register_forward_hook(explode)
    for run in (vaw.trace, vaw.head_importance):
        with untouched(model), pytest.raises(BrokenError):
            run(model, inputs)
    handle.remove()
    explain_everything(model, inputs)


def test_nan_in_the_weights_is_named_and_leaves_the_model_alone(some: TinyModel) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    with torch.no_grad():
        model.blocks[1].attn.proj.weight[0, 0] = torch.nan
    for run in (vaw.trace, vaw.head_importance):
        with untouched(model), pytest.raises(CaptureError, match="NaN"):
            run(model, inputs)


# --- modes ---------------------------------------------------------------------------------------


def test_a_model_in_training_mode_is_explained_in_evaluation_mode(tiny: TinyModel) -> None:
    model, inputs = tiny.build(torch.float32), tiny.inputs(dtype=torch.float32)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    plain = vaw.trace(model, inputs)
    maps = {name: method(plain).values for name, method in explainers.METHODS.items()}
    importance = vaw.head_importance(model, inputs).values
    model.train()
    model.blocks[1].eval()  # a part that the user froze stays in its own mode
    with untouched(model):
        trace = vaw.trace(model, inputs)
        assert torch.equal(trace.logits, plain.logits)
        for name, method in explainers.METHODS.items():
            assert torch.equal(method(trace).values, maps[name]), name
        assert torch.equal(vaw.head_importance(model, inputs).values, importance)
    assert model.training
    assert not model.blocks[1].training


def test_existing_gradients_and_frozen_parameters_stay(some: TinyModel) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    expected = {name: f(vaw.trace(model, inputs)).values for name, f in explainers.METHODS.items()}
    model(inputs).sum().backward()
    model.blocks[0].requires_grad_(False)
    with untouched(model):
        explain_everything(model, inputs)
    model.requires_grad_(False)
    with untouched(model):
        explain_everything(model, inputs)
    trace = vaw.trace(model, inputs)
    for name, method in explainers.METHODS.items():
        assert torch.equal(method(trace).values, expected[name])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("made_inside", [False, True])
def test_the_callers_gradient_mode_does_not_matter(
    some: TinyModel, mode: Callable[[], torch.no_grad], made_inside: bool
) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    plain = vaw.trace(model, inputs, [1, 2])
    expected = {name: method(plain).values for name, method in explainers.METHODS.items()}
    with untouched(model), mode():
        own = inputs.clone() if made_inside else inputs
        trace = vaw.trace(model, own, [1, 2])
        for name, method in explainers.METHODS.items():
            assert torch.equal(method(trace).values, expected[name]), name
        values = vaw.head_importance(model, own, [1, 2], metric="taylor").values
        again = explainers.daam(trace.retarget([1, 2])).values
    assert torch.equal(again, expected["daam"])
    assert torch.equal(values, vaw.head_importance(model, inputs, [1, 2], metric="taylor").values)


def test_explainers_may_run_in_another_mode_than_the_trace(some: TinyModel) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    expected = {k: f(vaw.trace(model, inputs)).values for k, f in explainers.METHODS.items()}
    for mode in (torch.no_grad, torch.inference_mode):
        trace = vaw.trace(model, inputs)
        with mode():
            for name, method in explainers.METHODS.items():
                assert torch.equal(method(trace).values, expected[name]), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models(some: TinyModel, dtype: torch.dtype) -> None:
    model = some.build(torch.float32)
    inputs = some.inputs(dtype=torch.float32)
    exact = vaw.trace(model, inputs, [1, 2])
    full = {name: method(exact).values for name, method in explainers.METHODS.items()}
    half = copy.deepcopy(model).to(dtype)
    with untouched(half):
        trace = vaw.trace(half, inputs, [1, 2])
        assert trace.logits.dtype == dtype
        for name, method in explainers.METHODS.items():
            values = method(trace).values.float()
            assert torch.isfinite(values).all(), name
            likeness = torch.cosine_similarity(values.flatten(1), full[name].flatten(1))
            assert (likeness > 0.8).all(), (name, likeness)
        for metric in ("probability", "taylor"):
            importance = vaw.head_importance(half, inputs, [1, 2], metric=metric)
            assert importance.values.dtype == torch.float32
            assert torch.isfinite(importance.values).all()


@pytest.mark.parametrize("explained_inside", [False, True])
def test_autocast(some: TinyModel, explained_inside: bool) -> None:
    """Traced under autocast; explained under it or, as in the next cell, without."""
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    exact = vaw.trace(model, inputs, [1, 2])
    with untouched(model):
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            plain = model(inputs)
            trace = vaw.trace(model, inputs, [1, 2])
            vaw.head_importance(model, inputs)
        assert torch.equal(trace.logits, plain)
        for name, method in explainers.METHODS.items():
            with torch.autocast("cpu", torch.bfloat16, enabled=explained_inside):
                values = method(trace).values.float()
            full = method(exact).values
            assert (torch.cosine_similarity(values.flatten(1), full.flatten(1)) > 0.9).all(), name
    outside = explainers.legrad(exact).values
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(explainers.legrad(exact).values, outside)


# --- explainers ----------------------------------------------------------------------------------


def test_every_explainer_gives_a_finite_map_for_every_layer(tiny: TinyModel) -> None:
    model, inputs = tiny.build(torch.float32), tiny.inputs(dtype=torch.float32)
    trace = vaw.trace(model, inputs)
    for name, method in explainers.METHODS.items():
        values = method(trace).values
        assert values.shape == (2, tiny.layers, tiny.rows, tiny.cols), name
        assert torch.isfinite(values).all(), name
        assert (values >= 0).all(), name
        assert values.abs().sum() > 0, name


def test_a_batch_equals_its_images_one_by_one(tiny: TinyModel) -> None:
    model, inputs = tiny.build(), tiny.inputs(batch=3)
    target = [4, 0, 2]
    batch = vaw.trace(model, inputs, target)
    singles = [vaw.trace(model, inputs[i], target[i]) for i in range(3)]
    for name, method in explainers.METHODS.items():
        values = torch.cat([method(single).values for single in singles])
        torch.testing.assert_close(method(batch).values, values, msg=name)
    for metric in ("probability", "taylor"):
        whole = vaw.head_importance(model, inputs, target, metric=metric)
        parts = [vaw.head_importance(model, inputs[i], target[i], metric=metric) for i in range(3)]
        torch.testing.assert_close(whole.values, torch.cat([p.values for p in parts]))
        torch.testing.assert_close(whole.baseline, torch.cat([p.baseline for p in parts]))


def test_fused_and_explicit_attention_agree() -> None:
    pairs = [("vit", "vit-explicit"), ("beit", "beit-explicit"), ("eva02", "eva02-explicit")]
    for fused, explicit in [*pairs, ("siglip", "siglip-explicit")]:
        inputs = BY_NAME[fused].inputs()
        one, two = (vaw.trace(BY_NAME[name].build(), inputs) for name in (fused, explicit))
        for name, method in explainers.METHODS.items():
            torch.testing.assert_close(method(one).values, method(two).values, msg=name)


# --- other shapes of blocks and pictures ---------------------------------------------------------


def test_blocks_whose_attention_and_mlp_run_beside_each_other() -> None:
    """A parallel block is its own attention; leaving a head out runs the block again."""
    model = timm.create_model(
        "vit_pwee_patch16_reg1_gap_256", img_size=64, embed_dim=16, depth=3, num_heads=2
    )
    model, inputs = model.double().eval(), torch.randn(2, 3, 64, 64).double()
    with torch.no_grad():
        plain = model(inputs)
    with untouched(model):
        trace = vaw.trace(model, inputs)
        assert torch.equal(trace.logits, plain)
        for layer, record in enumerate(trace.layers):
            torch.testing.assert_close(trace.attention(layer) @ record.v, record.out)
        importance = vaw.head_importance(model, inputs)
        with torch.no_grad(), vaw.masked_heads(model, {1: [0]}):
            masked = model(inputs).softmax(-1)[torch.arange(2), importance.labels]
    torch.testing.assert_close(importance.baseline - masked, importance.values[:, 1, 0])
    with pytest.raises(UnsupportedModelError, match="cannot be pruned for good"):
        vaw.prune_heads(model, {0: [0]})


@pytest.mark.parametrize("name", ["vit_small_patch16_18x2_224", "vit_dwee_patch16_reg1_gap_256"])
def test_several_attentions_in_a_block_say_why(name: str) -> None:
    model = timm.create_model(name, depth=1, img_size=64)
    with pytest.raises(UnsupportedModelError, match=r"several parallel|more than once"):
        vaw.trace(model, torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("size", [(64, 64), (96, 48)])
def test_naflexvit_takes_pictures_of_any_size(size: tuple[int, int]) -> None:
    model = timm.create_model(
        "naflexvit_base_patch16_gap", depth=2, embed_dim=16, num_heads=2, num_classes=5
    ).eval()
    inputs = torch.randn(1, 3, *size)
    with torch.no_grad():
        plain = model(inputs)
    trace = vaw.trace(model, inputs)
    assert torch.equal(trace.logits, plain)
    assert (trace.tokens.rows, trace.tokens.cols) == (size[0] // 16, size[1] // 16)
    assert vaw.explainers.daam(trace).final.shape[1:] == (size[0] // 16, size[1] // 16)
