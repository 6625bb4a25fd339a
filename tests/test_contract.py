"""One contract for every family: right, and without a trace of us on the user's model."""

from __future__ import annotations

import contextlib
import copy
import threading
import warnings
from collections.abc import Callable, Sequence

import pytest
import timm
import torch
from models import BY_NAME, MODELS, TinyModel
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
from vit_attention_widget.tracing.gradients import token_gradients

SOME = ["vit", "vit-explicit", "deit-distilled", "beit", "eva02", "dinov3", "siglip", "relpos"]


@pytest.fixture(params=MODELS)
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return request.param


@pytest.fixture(params=SOME)
def some(request: pytest.FixtureRequest) -> TinyModel:
    return BY_NAME[request.param]


def explain_everything(model: nn.Module, inputs: Tensor) -> None:
    found = vaw.trace(model, inputs)
    for method in explainers.METHODS.values():
        method(found)
    for metric in ("probability", "taylor"):
        vaw.head_importance(model, inputs, metric=metric)
    with torch.no_grad(), vaw.masked_heads(model, {0: [0]}):
        model(inputs)


# --- geometry ------------------------------------------------------------------------------------


def test_geometry(tiny: TinyModel) -> None:
    model = tiny.build(torch.float32)
    found = vaw.trace(model, tiny.inputs(dtype=torch.float32))
    layout = found.tokens
    assert layout.prefix == tiny.prefix
    assert (layout.rows, layout.cols) == (tiny.rows, tiny.cols)
    patch = model.patch_embed.patch_size
    assert (layout.patch_height, layout.patch_width) == patch
    assert layout.image_height >= tiny.height
    assert layout.image_width >= tiny.width
    assert found.num_layers == len(found.layers) == tiny.layers
    assert found.num_heads == (tiny.heads,) * tiny.layers
    assert found.model.readout_kind == tiny.readout
    assert found.model.num_classes == 5
    tokens = len(tiny.prefix) + tiny.rows * tiny.cols
    for record in found.layers:
        for tensor in (record.q, record.k, record.v, record.out):
            assert tensor.shape == (2, tiny.heads, tokens, 16 // tiny.heads)
        assert record.input.shape == record.output.shape == (2, tokens, 16)


def test_the_records_are_the_models_own(tiny: TinyModel) -> None:
    """Attention times values is the head output; a block's output is the next one's input."""
    model = tiny.build()
    found = vaw.trace(model, tiny.inputs())
    for layer, record in enumerate(found.layers):
        attention = found.attention(layer)
        torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention[..., 0]))
        torch.testing.assert_close(attention @ record.v, record.out)
    for lower, upper in zip(found.layers, found.layers[1:], strict=False):
        assert torch.equal(lower.output, upper.input)
    with torch.no_grad():
        torch.testing.assert_close(found.model.readout(found.layers[-1].output), found.logits)


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
        found = vaw.trace(model, inputs)
        assert torch.equal(found.logits, plain.logits)
        for name, method in explainers.METHODS.items():
            assert torch.equal(method(found).values, maps[name]), name
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
    found = vaw.trace(model, inputs)
    for name, method in explainers.METHODS.items():
        assert torch.equal(method(found).values, expected[name])


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
        found = vaw.trace(model, own, [1, 2])
        for name, method in explainers.METHODS.items():
            assert torch.equal(method(found).values, expected[name]), name
        values = vaw.head_importance(model, own, [1, 2], metric="taylor").values
        again = explainers.daam(found.retarget([1, 2])).values
    assert torch.equal(again, expected["daam"])
    assert torch.equal(values, vaw.head_importance(model, inputs, [1, 2], metric="taylor").values)


def test_explainers_may_run_in_another_mode_than_the_trace(some: TinyModel) -> None:
    model, inputs = some.build(torch.float32), some.inputs(dtype=torch.float32)
    expected = {k: f(vaw.trace(model, inputs)).values for k, f in explainers.METHODS.items()}
    for mode in (torch.no_grad, torch.inference_mode):
        found = vaw.trace(model, inputs)
        with mode():
            for name, method in explainers.METHODS.items():
                assert torch.equal(method(found).values, expected[name]), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models(some: TinyModel, dtype: torch.dtype) -> None:
    model = some.build(torch.float32)
    inputs = some.inputs(dtype=torch.float32)
    exact = vaw.trace(model, inputs, [1, 2])
    full = {name: method(exact).values for name, method in explainers.METHODS.items()}
    half = copy.deepcopy(model).to(dtype)
    with untouched(half):
        found = vaw.trace(half, inputs, [1, 2])
        assert found.logits.dtype == dtype
        for name, method in explainers.METHODS.items():
            values = method(found).values.float()
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
            found = vaw.trace(model, inputs, [1, 2])
            vaw.head_importance(model, inputs)
        assert torch.equal(found.logits, plain)
        for name, method in explainers.METHODS.items():
            with torch.autocast("cpu", torch.bfloat16, enabled=explained_inside):
                values = method(found).values.float()
            full = method(exact).values
            assert (torch.cosine_similarity(values.flatten(1), full.flatten(1)) > 0.9).all(), name
    outside = explainers.legrad(exact).values
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(explainers.legrad(exact).values, outside)


# --- explainers ----------------------------------------------------------------------------------


def test_every_explainer_gives_a_finite_map_for_every_layer(tiny: TinyModel) -> None:
    model, inputs = tiny.build(torch.float32), tiny.inputs(dtype=torch.float32)
    found = vaw.trace(model, inputs)
    for name, method in explainers.METHODS.items():
        values = method(found).values
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


# --- masks and threads ---------------------------------------------------------------------------


def test_masked_heads_is_what_trace_does_with_a_head_mask(tiny: TinyModel) -> None:
    model, inputs = tiny.build(), tiny.inputs()
    mask = {0: [1], 2: [0, 1]}
    with untouched(model), torch.no_grad():
        plain = model(inputs)
        with vaw.masked_heads(model, mask):
            masked = model(inputs)
        assert torch.equal(model(inputs), plain)
    assert not torch.equal(masked, plain)
    found = vaw.trace(model, inputs, head_mask=mask)
    torch.testing.assert_close(found.logits, masked)
    assert (found.layers[0].out[:, 1] == 0).all()
    assert (found.layers[2].out == 0).all()
    assert (found.layers[1].out != 0).any()


def test_a_trace_inside_masked_heads_sees_the_pruned_model(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    mask = {0: [1], 2: [0]}
    expected = vaw.trace(model, inputs, [1, 2], head_mask=mask)
    importance = vaw.head_importance(model, inputs, target=[1, 2], head_mask=mask).values
    with vaw.masked_heads(model, mask):
        found = vaw.trace(model, inputs, [1, 2])
        values = vaw.head_importance(model, inputs, target=[1, 2]).values
    torch.testing.assert_close(found.logits, expected.logits)
    for name, method in explainers.METHODS.items():
        torch.testing.assert_close(method(found).values, method(expected).values, msg=name)
    torch.testing.assert_close(values, importance, equal_nan=True)
    assert found.head_mask == expected.head_mask  # also for what runs the model again, outside
    torch.testing.assert_close(
        explainers.occlusion(found, window=2, stride=2).values,
        explainers.occlusion(expected, window=2, stride=2).values,
    )


def test_masks_hold_after_an_error_that_was_caught(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()

    def explode(*_: object) -> None:
        raise BrokenError

    with torch.no_grad(), vaw.masked_heads(model, {0: [0], 1: [1]}):
        expected = model(inputs)
        handle = model.blocks[1].mlp.register_forward_pre_hook(explode)
        with pytest.raises(BrokenError):
            model(inputs)
        handle.remove()
        assert torch.equal(model(inputs), expected)


def test_masks_add_up(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    with torch.no_grad():
        with vaw.masked_heads(model, {0: [0], 1: [1]}):
            together = model(inputs)
        with vaw.masked_heads(model, {0: [0]}), vaw.masked_heads(model, {1: [1]}):
            torch.testing.assert_close(model(inputs), together)


def test_another_thread_sees_the_whole_model() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    with torch.no_grad():
        plain = model(inputs)
    seen: list[Tensor] = []

    def run() -> None:
        with torch.no_grad():
            seen.append(model(inputs))

    with vaw.masked_heads(model, {0: [0, 1], 1: [0, 1]}):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert torch.equal(seen[0], plain)


def test_threads_that_trace_the_same_model_do_not_mix() -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build()
    inputs = [tiny.inputs(seed=seed) for seed in range(4)]
    expected = [explainers.daam(vaw.trace(model, x)).values for x in inputs]
    found: dict[int, list[Tensor]] = {}

    def run(index: int) -> None:
        found[index] = [explainers.daam(vaw.trace(model, inputs[index])).values for _ in range(8)]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    with untouched(model):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for index, values in enumerate(expected):
        assert len(found[index]) == 8
        assert all(torch.equal(v, values) for v in found[index])


def test_overlapping_traces_of_a_model_in_training_mode() -> None:
    """The first to end must not put the other's blocks back into training mode under it."""
    tiny = BY_NAME["vit"]
    model = tiny.build(torch.float32).train()
    for block in model.blocks:
        block.mlp.drop1.p = 0.5
    inputs = tiny.inputs(dtype=torch.float32)
    expected = vaw.trace(copy.deepcopy(model).eval(), inputs).logits
    second_runs, first_ended = threading.Event(), threading.Event()
    logits: list[Tensor] = []

    def wait_in_second(fraction: float, label: str) -> None:
        second_runs.set()
        assert first_ended.wait(20)

    def run_second() -> None:
        logits.append(vaw.trace(model, inputs, progress=wait_in_second).logits)

    thread = threading.Thread(target=run_second)

    def wait_in_first(fraction: float, label: str) -> None:
        if not thread.ident:
            thread.start()
        assert second_runs.wait(20)

    with untouched(model):
        logits.append(vaw.trace(model, inputs, progress=wait_in_first).logits)
        first_ended.set()
        thread.join()
    assert len(logits) == 2
    assert all(torch.equal(found, expected) for found in logits)


# --- ways of holding a model ---------------------------------------------------------------------


def test_a_users_subclass_and_a_wrapped_model_are_known() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    expected = vaw.trace(model, inputs).logits
    model.__class__ = type("MyViT", (type(model),), {"__module__": "__main__"})
    assert torch.equal(vaw.trace(model, inputs).logits, expected)
    assert torch.equal(vaw.trace(nn.DataParallel(model), inputs).logits, expected)
    described = vaw.describe(model)
    assert vaw.describe(described) is described
    assert torch.equal(vaw.trace(described, inputs).logits, expected)
    assert vaw.describe(nn.DataParallel(model)).name == f"{described.name} (without DataParallel)"


def _wrapped(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def _in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def _block_by_block(model: nn.Module) -> nn.Module:
    for index, block in enumerate(model.blocks):
        model.blocks[index] = torch.compile(block, backend="eager")
    return model


def _its_forward(model: nn.Module) -> nn.Module:
    for block in model.blocks:
        block.attn.forward = torch.compile(block.attn.forward, backend="eager")
    return model


@pytest.mark.filterwarnings("ignore:.*global hooks on modules")  # of compiled blocks, by PyTorch
@pytest.mark.parametrize("compiled", [_wrapped, _in_place, _block_by_block, _its_forward])
@pytest.mark.parametrize(
    "name",
    [
        "vit",
        pytest.param("beit-explicit", marks=pytest.mark.slow),
        pytest.param("siglip", marks=pytest.mark.slow),
    ],
)
def test_compiled_models(name: str, compiled: Callable[[nn.Module], nn.Module]) -> None:
    """Where compiled code runs, attention cannot be seen: the eager module below runs instead."""
    tiny = BY_NAME[name]
    model, inputs, mask = tiny.build(), tiny.inputs(), {0: [0], 2: [1]}
    plain = vaw.trace(model, inputs, [1, 2])
    expected = {name: method(plain).values for name, method in explainers.METHODS.items()}
    masked = vaw.trace(model, inputs, head_mask=mask).logits
    given = compiled(model)
    try:
        with torch.no_grad():
            torch.testing.assert_close(given(inputs), plain.logits)  # compiled code to be met
        with untouched(model):
            found = vaw.trace(given, inputs, [1, 2])
            for method, values in expected.items():
                torch.testing.assert_close(explainers.METHODS[method](found).values, values)
            for held in (given, found.model):
                with torch.no_grad(), vaw.masked_heads(held, mask):
                    torch.testing.assert_close(given(inputs), masked)
        assert ("without torch.compile" in repr(found)) == (compiled is _wrapped)
        with torch.no_grad():
            torch.testing.assert_close(given(inputs), plain.logits)
    finally:
        torch.compiler.reset()


def test_gradient_checkpointing_does_not_matter(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    plain = vaw.trace(model, inputs)
    expected = {name: method(plain).values for name, method in explainers.METHODS.items()}
    importance = vaw.head_importance(model, inputs).values
    model.set_grad_checkpointing(True)
    with untouched(model):
        found = vaw.trace(model, inputs)
        for name, method in explainers.METHODS.items():
            torch.testing.assert_close(method(found).values, expected[name], msg=name)
        torch.testing.assert_close(vaw.head_importance(model, inputs).values, importance)


def test_hooks_of_the_user_still_run(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    seen: list[int] = []
    for block in model.blocks:
        block.register_forward_hook(lambda *_: seen.append(1))
    with untouched(model):
        vaw.trace(model, inputs)
    assert len(seen) == len(model.blocks)


def test_blocks_whose_attention_and_mlp_run_beside_each_other() -> None:
    """A parallel block is its own attention; leaving a head out runs the block again."""
    model = timm.create_model(
        "vit_pwee_patch16_reg1_gap_256", img_size=64, embed_dim=16, depth=3, num_heads=2
    )
    model, inputs = model.double().eval(), torch.randn(2, 3, 64, 64).double()
    with torch.no_grad():
        plain = model(inputs)
    with untouched(model):
        found = vaw.trace(model, inputs)
        assert torch.equal(found.logits, plain)
        for layer, record in enumerate(found.layers):
            torch.testing.assert_close(found.attention(layer) @ record.v, record.out)
        importance = vaw.head_importance(model, inputs)
        with torch.no_grad(), vaw.masked_heads(model, {1: [0]}):
            masked = model(inputs).softmax(-1)[torch.arange(2), importance.labels]
    torch.testing.assert_close(importance.baseline - masked, importance.values[:, 1, 0])
    with pytest.raises(UnsupportedModelError, match="cannot be pruned for good"):
        vaw.prune_heads(model, {0: [0]})


@pytest.mark.parametrize(
    ("name", "norm"),
    [("vit_pwee_patch16_reg1_gap_256", "in_norm"), ("vit_tiny_patch16_224", "norm1")],
)
def test_gradients_of_norms_take_every_way_that_leaves_them(name: str, norm: str) -> None:
    """In a parallel block the MLP reads what the attention reads; held against plain autograd."""
    model = timm.create_model(name, img_size=64, embed_dim=16, depth=3, num_heads=2)
    model, inputs, normed = (
        model.double().eval(),
        torch.randn(2, 3, 64, 64).double(),
        list[Tensor](),
    )
    for block in model.blocks:
        getattr(block, norm).register_forward_hook(lambda _m, _a, out: normed.append(out))
    logits = model(inputs)
    expected = torch.autograd.grad(logits[:, 1].sum(), normed)
    found = vaw.trace(model, inputs, 1)
    for layer, gradient in enumerate(expected):
        torch.testing.assert_close(found.normed_gradient(layer), gradient, rtol=1e-9, atol=1e-12)


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
    found = vaw.trace(model, inputs)
    assert torch.equal(found.logits, plain)
    assert (found.tokens.rows, found.tokens.cols) == (size[0] // 16, size[1] // 16)
    assert vaw.explainers.daam(found).final.shape[1:] == (size[0] // 16, size[1] // 16)


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


def test_large_gradients_of_tokens_take_one_pass(
    tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vit_attention_widget.tracing.gradients._SMALL", 0)
    trace = vaw.trace(tiny.build(), tiny.inputs(), 1)
    trace.token_gradient(0)
    assert trace._output_gradients is None
    trace.output_gradient(0)
    assert trace._beside_them is None
