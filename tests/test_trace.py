"""A trace: q, k, v and head outputs kept; attention and its gradient exact, on demand."""

from __future__ import annotations

import gc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import timm.data
import torch
from models import BY_NAME, NAMES
from PIL import Image
from reference.explicit import ExplicitViT, gradients, score
from torch import Tensor
from twins import TARGET, Twins, agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import (
    CaptureError,
    ImageError,
    JobCancelled,
    ParameterError,
    TargetError,
    TokenLayoutError,
)


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> Twins:
    return twins(request.param)


@pytest.fixture
def vit() -> Twins:
    return twins("vit")


# --- against the literal twin --------------------------------------------------------------------


def test_attention_and_gradients(pair: Twins) -> None:
    y = score(pair.record.logits, TARGET)
    by_attention = gradients(y, pair.record.attention)
    by_output = gradients(y, pair.record.head_outputs)
    agree(pair.trace.logits, pair.record.logits)
    for layer in range(pair.trace.num_layers):
        agree(pair.trace.attention(layer), pair.record.attention[layer])
        agree(pair.trace.attention_gradient(layer), by_attention[layer])
        agree(pair.trace.output_gradient(layer), by_output[layer])
        agree(pair.trace.layers[layer].v, pair.record.values[layer])
        agree(pair.trace.layers[layer].out, pair.record.head_outputs[layer])
        agree(pair.trace.layers[layer].output, pair.record.tokens[layer])


def test_readout_of_any_layer(pair: Twins) -> None:
    for layer in range(pair.trace.num_layers):
        readout = pair.trace.model.readout(pair.trace.layers[layer].output)
        agree(readout, pair.vit.readout(pair.record.tokens[layer]))


def test_head_mask(pair: Twins) -> None:
    mask = {0: [1], 2: [0]}
    masked = vaw.trace(pair.model, pair.inputs, TARGET, head_mask=mask)
    literal = ExplicitViT(pair.model, mask)(pair.inputs)
    agree(masked.logits, literal.logits)
    by_attention = gradients(score(literal.logits, TARGET), literal.attention)
    for layer, gradient in enumerate(by_attention):
        agree(masked.attention_gradient(layer), gradient)
        assert bool(masked.attention_gradient(layer)[:, list(mask.get(layer, []))].eq(0).all())


def test_a_head_is_masked_only_if_all_of_its_outputs_are_zero(vit: Twins) -> None:
    """Not if those of some tokens are, be it the first."""
    record = vaw.trace(vit.model, vit.inputs, TARGET).layers[1]
    out = record.out.detach().clone()
    assert not replace(record, out=out).masked.any()
    out[:, 0, 0] = 0
    assert not replace(record, out=out).masked.any()
    out[:, 1] = 0
    assert replace(record, out=out).masked[:, :2, 0, 0].tolist() == [[False, True]] * len(out)


def test_gradients_by_tokens(pair: Twins) -> None:
    by_tokens = gradients(score(pair.record.logits, TARGET), pair.record.tokens)
    for layer, gradient in enumerate(by_tokens):
        agree(pair.trace.token_gradient(layer), gradient)


def test_a_gradient_by_finite_differences(vit: Twins) -> None:
    """dy/dO, without any autograd: move one head output of the model and look at the logit."""
    layer, head, token, step = 1, 1, 3, 1e-6
    gradient = vit.trace.output_gradient(layer)[0, head, token]
    column = head * 8

    def logit(move: float, channel: int) -> Tensor:
        def shift(module: object, args: tuple[Tensor, ...]) -> tuple[Tensor]:
            moved = args[0].clone()
            moved[0, token, column + channel] += move
            return (moved,)

        handle = vit.model.blocks[layer].attn.proj.register_forward_pre_hook(shift)
        with torch.no_grad():
            logits = vit.model(vit.inputs)[0, TARGET[0]]
        handle.remove()
        return logits

    for channel in range(8):
        slope = (logit(step, channel) - logit(-step, channel)) / (2 * step)
        torch.testing.assert_close(slope, gradient[channel], rtol=1e-6, atol=1e-8)


# --- selection -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "beit", "relpos", "deit-distilled"])
@pytest.mark.parametrize("kind", ["attention", "attention_gradient"])
def test_a_selection_is_a_slice_of_the_whole(name: str, kind: str) -> None:
    every = getattr(twins(name).trace, kind)
    whole = every(1)

    def same(part: Tensor, expected: Tensor) -> None:
        assert part.shape == expected.shape
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-14)

    same(every(1, head=1), whole[:, 1])
    same(every(1, query=3), whole[:, :, 3])
    same(every(1, head=0, query=5), whole[:, 0, 5])
    same(every(1, head=slice(0, 1)), whole[:, 0:1])
    same(every(1, query=slice(2, 6)), whole[:, :, 2:6])
    same(every(1, query=[7, 0, 3]), whole[:, :, [7, 0, 3]])
    same(every(1, head=1, query=[4]), whole[:, 1, [4]])
    same(every(np.int64(1), head=np.int64(1), query=np.int64(3)), whole[:, 1, 3])


def test_attention_in_chunks_is_the_whole(vit: Twins) -> None:
    for size in (1, 5, 100, None):
        parts = list(vit.trace.attention_chunks(2, size))
        rows = [rows for rows, _ in parts]
        assert rows[0].start == 0
        assert rows[-1].stop == vit.trace.tokens.num_tokens
        assert all(a.stop == b.start for a, b in pairwise(rows))
        joined = torch.cat([chunk for _, chunk in parts], dim=2)
        torch.testing.assert_close(joined, vit.trace.attention(2), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("choice", "error", "words"),
    [
        ({"layer": 3}, ParameterError, r"layer 3.*3 layers, 0 to 2"),
        ({"layer": -4}, ParameterError, "layer -4.*0 to 2, or -3 to -1"),
        ({"layer": "last"}, ParameterError, "'last'"),
        ({"layer": 1.0}, ParameterError, r"1\.0"),
        ({"layer": 0, "head": 2}, ParameterError, "head 2.*0 to 1"),
        ({"layer": 0, "head": -1}, ParameterError, "head -1"),
        ({"layer": 0, "head": 0.5}, ParameterError, r"0\.5"),
        ({"layer": 0, "query": 17}, TokenLayoutError, "token 17.*0 to 16"),
        ({"layer": 0, "query": -1}, TokenLayoutError, "-1"),
        ({"layer": 0, "query": [0, 40]}, TokenLayoutError, "40"),
        ({"layer": 0, "query": "class"}, TokenLayoutError, "'class'"),
    ],
)
def test_a_selection_that_does_not_exist(
    vit: Twins, choice: dict[str, object], error: type[Exception], words: str
) -> None:
    for one in (vit.trace.attention, vit.trace.attention_gradient):
        with pytest.raises(error, match=words):
            one(**choice)


# --- targets -------------------------------------------------------------------------------------


def test_no_target_is_the_predicted_class(vit: Twins) -> None:
    trace = vaw.trace(vit.model, vit.inputs)
    assert list(trace.target.index) == trace.logits.argmax(-1).tolist()


@pytest.mark.parametrize("target", [[1, 3], (1, 3), torch.tensor([1, 3]), np.array([1, 3])])
def test_a_class_for_each_image(vit: Twins, target: object) -> None:
    retargeted = vit.trace.retarget(target)
    assert list(retargeted.target.index) == [1, 3]
    assert torch.equal(retargeted.output_gradient(0), vit.trace.output_gradient(0))


def test_one_class_for_all_images(vit: Twins) -> None:
    for target in (2, np.int64(2), torch.tensor(2)):
        assert list(vit.trace.retarget(target).target.index) == [2, 2]


def test_a_class_by_name() -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build()
    model.pretrained_cfg = {
        **model.pretrained_cfg,
        "label_names": ["ant", "bee", "cat", "dog", "emu"],
    }
    trace = vaw.trace(model, tiny.inputs(), "Cat")
    assert list(trace.target.index) == [2, 2]
    assert trace.target.name == "cat"
    with pytest.raises(TargetError, match=r"'bea'.*'bee'"):
        trace.retarget("bea")


def test_a_callable_target(vit: Twins) -> None:
    def margin(logits: Tensor) -> Tensor:
        return logits[:, 1] - logits[:, 3]

    retargeted = vit.trace.retarget(margin)
    assert retargeted.target.name == "margin"
    one, three = vit.trace.retarget(1), vit.trace.retarget(3)
    torch.testing.assert_close(
        retargeted.output_gradient(0), one.output_gradient(0) - three.output_gradient(0)
    )


def test_retarget_equals_a_fresh_trace(pair: Twins) -> None:
    other = pair.trace.retarget([4, 0])
    fresh = vaw.trace(pair.model, pair.inputs, [4, 0])
    for layer in range(other.num_layers):
        assert torch.equal(other.output_gradient(layer), fresh.output_gradient(layer))
    assert list(pair.trace.target.index) == TARGET


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (5, "class 5.*5 classes, 0 to 4"),
        (-1, "class -1.*0 to 4"),
        ([1, 9], "class 9"),
        ([1], "1 targets.*2 images"),
        ([1, 2, 3], "3 targets.*2 images"),
        ("macaw", "'macaw'.*index from 0 to 4"),
        (True, "True"),
        (1.0, "float"),
        ([1.5, 2], r"1\.5"),
        ({"class": 1}, "dict"),
        (lambda logits: 3.0, "float"),
        (lambda logits: logits.sum(), r"\(\)"),
    ],
)
def test_targets_that_do_not_exist(vit: Twins, target: object, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        vit.trace.retarget(target)
    with pytest.raises(TargetError, match=words):
        vaw.trace(vit.model, vit.inputs, target)


# --- what is kept, progress ----------------------------------------------------------------------


@pytest.mark.slow
def test_no_attention_matrix_is_kept() -> None:
    """Every tensor that the trace holds grows with the number of tokens, not with its square."""
    tiny = BY_NAME["vit-dynamic"]
    model = tiny.build(torch.float32)

    def held(rows: int) -> int:
        gc.collect()
        before = {id(o) for o in gc.get_objects() if type(o) is Tensor}
        trace = vaw.trace(model, torch.zeros(1, 3, 8 * rows, 64))
        trace.output_gradient(0)
        gc.collect()
        new = [o for o in gc.get_objects() if type(o) is Tensor and id(o) not in before]
        assert trace.num_layers == 3
        return sum(
            {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in new}.values()
        )

    few, many = held(4), held(16)
    assert many < 4.3 * few


def test_a_trace_without_gradients(vit: Twins) -> None:
    trace = vaw.trace(vit.model, vit.inputs, TARGET, gradients=False)
    assert torch.equal(trace.attention(1), vit.trace.attention(1))
    with pytest.raises(CaptureError, match="gradients=True"):
        trace.output_gradient(0)
    assert not any(record.out.requires_grad for record in trace.layers)


def test_progress_may_be_a_bar(vit: Twins, capsys: pytest.CaptureFixture[str]) -> None:
    vaw.trace(vit.model, vit.inputs, progress=True)
    assert "running the model" in capsys.readouterr().err
    with pytest.raises(ParameterError, match="progress is 3"):
        vaw.trace(vit.model, vit.inputs, progress=3)


def test_progress_rises_to_one(vit: Twins) -> None:
    seen: list[tuple[float, str]] = []
    vaw.trace(vit.model, vit.inputs, progress=lambda *report: seen.append(report))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] > 0
    assert fractions[-1] == 1
    assert all(label for _, label in seen)


def test_cancel(vit: Twins) -> None:
    def cancel(fraction: float, label: str) -> None:
        raise JobCancelled("by the user")

    with pytest.raises(JobCancelled):
        vaw.trace(vit.model, vit.inputs, progress=cancel)


def test_probabilities_and_names(vit: Twins) -> None:
    torch.testing.assert_close(vit.trace.probabilities, vit.trace.logits.softmax(-1))
    assert vit.trace.probabilities.dtype == torch.float64
    assert not vit.trace.logits.requires_grad
    assert "2 image" in repr(vit.trace)
    assert "4 x 4" in repr(vit.trace)


# --- images --------------------------------------------------------------------------------------


def test_pictures_go_through_the_models_own_preprocessing() -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build(torch.float32)
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    )
    trace = vaw.trace(model, picture)
    assert trace.inputs.shape == (1, 3, 32, 32)
    config = timm.data.resolve_model_data_config(model, {"input_size": (3, 32, 32)})
    own = timm.data.create_transform(**config)
    assert torch.equal(trace.inputs[0], own(picture))
    assert torch.equal(vaw.trace(model, np.asarray(picture)).inputs, trace.inputs)
    pair = vaw.trace(model, [picture, np.asarray(picture.rotate(180))])
    assert pair.inputs.shape == (2, 3, 32, 32)
    mixed = vaw.trace(model, [picture, trace.inputs[0]])
    assert torch.equal(mixed.inputs[0], mixed.inputs[1])


def test_picture_shows_what_the_model_sees() -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build(torch.float32)
    model.pretrained_cfg = {**model.pretrained_cfg, "crop_pct": 1.0}  # so that nothing is resized
    described = vaw.describe(model)
    square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    (seen,) = described.picture(described.prepare(square))
    np.testing.assert_array_equal(np.asarray(seen), np.asarray(square))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "empty"),
        (torch.zeros(3, 40, 40), "40 x 40.*32 x 32"),
        (torch.zeros(1, 32, 32), r"\[1, 32, 32\]"),
        (torch.zeros(3, 32, 32, dtype=torch.int64), "int64"),
        ([torch.zeros(3, 32, 32), torch.zeros(3, 16, 16)], "differ in size"),
        (np.zeros((32, 32, 3)), "float64"),
        (b"no picture", "not a picture"),
        ("nowhere.jpg", "no file"),
        (None, "NoneType"),
    ],
)
def test_images_that_do_not_fit(vit: Twins, images: object, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        vaw.trace(vit.model, images)


def test_an_image_that_is_not_whole_patches() -> None:
    model = BY_NAME["vit-dynamic"].build()
    for height in (4, 30):
        with pytest.raises(ImageError, match=rf"{height} x 32 pixels.*whole patches of 8 x 8"):
            vaw.trace(model, torch.zeros(3, height, 32))
