"""Curves and drops agree with their literal twins; a perfect map cannot be beaten."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from models import BY_NAME
from reference import evaluation as literal
from snapshots import untouched
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.evaluation.fill import completely_hidden
from vit_attention_widget.evaluation.occlusion import Occluder

MODELS = ["vit", "vit-non-square", "vit-dynamic-padded", "siglip"]


@cache
def case(name: str) -> SimpleNamespace:
    """Two pictures of a tiny model, with maps whose values all differ."""
    tiny = BY_NAME[name]
    model, inputs = tiny.build(), tiny.inputs()
    trace = vaw.trace(model, inputs, [1, 3], gradients=False)
    generator = torch.Generator().manual_seed(3)
    maps = torch.randn(2, tiny.rows, tiny.cols, generator=generator, dtype=torch.float64)

    def run(picture: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(picture)[None])[0].numpy()

    size = trace.tokens.patch_height, trace.tokens.patch_width
    return SimpleNamespace(
        model=model, inputs=inputs, trace=trace, maps=maps, run=run, size=size, labels=[1, 3]
    )


def pictures(given: SimpleNamespace, fill: str) -> list[tuple[Any, ...]]:
    """(run, picture, label, map, fill) of each, for the twins."""
    fills = completely_hidden(given.trace, fill)
    each = zip(given.inputs, given.labels, given.maps, fills, strict=True)
    return [(given.run, x.numpy(), label, m.numpy(), f.numpy()) for x, label, m, f in each]


@pytest.mark.parametrize("fill", ["mean", "black"])
@pytest.mark.parametrize("function", ["insertion", "deletion"])
@pytest.mark.parametrize("name", MODELS)
def test_curves_agree_with_the_literal_twin(name: str, function: str, fill: str) -> None:
    given = case(name)
    curve = getattr(evaluation, function)(given.trace, given.maps, fill=fill, steps=5)
    for i, each in enumerate(pictures(given, fill)):
        values, area = getattr(literal, function)(*each, given.size, 5)
        assert curve.values[i].tolist() == pytest.approx(values, abs=1e-12)
        assert float(curve.area[i]) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_perturbation_agrees_with_the_literal_twin(name: str) -> None:
    given = case(name)
    for negative in (False, True):
        function = (
            evaluation.negative_perturbation if negative else evaluation.positive_perturbation
        )
        scored = function(given.trace, given.maps)
        for i, each in enumerate(pictures(given, "black")):
            values, area = literal.perturbation(*each, given.size, negative)
            assert scored.values[i].tolist() == values
            assert float(scored.area[i]) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("name", MODELS[:2])
def test_drop_and_increase_agree_with_the_literal_twin(name: str) -> None:
    given = case(name)
    drop = evaluation.average_drop(given.trace, given.maps)
    rise = evaluation.increase(given.trace, given.maps)
    for i, (run, picture, label, grid, fill) in enumerate(pictures(given, "zero")):
        heat = literal.bilinear(grid, *picture.shape[1:])
        assert float(drop[i]) == pytest.approx(
            literal.average_drop(run, picture, label, heat, fill), abs=1e-12
        )
        shown = literal.probability(run, literal.seen_through(picture, heat, fill), label)
        assert float(rise[i]) == float(shown > literal.probability(run, picture, label))


def test_drop_agrees_with_pytorch_grad_cam() -> None:
    metrics = pytest.importorskip("pytorch_grad_cam.metrics.cam_mult_image")
    given = case("vit")
    heat = torch.from_numpy(np.stack([literal.bilinear(m.numpy(), 32, 32) for m in given.maps]))
    low, high = heat.amin((1, 2), keepdim=True), heat.amax((1, 2), keepdim=True)
    cams = ((heat - low) / (high - low)).numpy()
    targets = [lambda logits, c=c: logits.softmax(-1)[c] for c in given.labels]
    theirs = metrics.DropInConfidence()(given.inputs, cams, targets, given.model)
    whole = given.trace.probabilities[torch.arange(2), torch.tensor(given.labels)].numpy()
    ours = evaluation.average_drop(given.trace, given.maps).numpy()
    np.testing.assert_allclose(ours, theirs / whole, atol=1e-5)  # theirs is float32
    theirs = metrics.IncreaseInConfidence()(given.inputs, cams, targets, given.model)
    assert evaluation.increase(given.trace, given.maps).tolist() == theirs.tolist()


def test_perturbation_agrees_with_pytorch_grad_cam() -> None:
    metrics = pytest.importorskip("pytorch_grad_cam.metrics.perturbation_confidence")
    given = case("vit-non-square")  # 30 patches: tenths are whole
    heat = torch.nn.functional.interpolate(given.maps[:, None], (24, 40), mode="nearest")[:, 0]
    targets = [lambda logits, c=c: logits.softmax(-1)[c] for c in given.labels]

    def removing(tenths: int, which: str) -> Any:
        def hide(picture: Tensor, mask: Tensor) -> Tensor:
            remove = getattr(metrics, which)(100 - 10 * tenths, lambda x, kept: x * kept)
            return remove(picture, mask).double()

        return metrics.PerturbationConfidenceMetric(hide)

    options = {"fill": "zero", "score": "probability"}
    for which, function in (
        ("RemoveMostRelevantFirst", evaluation.positive_perturbation),
        ("RemoveLeastRelevantFirst", evaluation.negative_perturbation),
    ):
        theirs = [
            removing(n, which)(given.inputs, heat.numpy(), targets, given.model, return_diff=False)
            for n in range(1, 10)
        ]
        ours = function(given.trace, given.maps, **options).values.T
        np.testing.assert_allclose(ours.numpy(), np.stack(theirs), atol=1e-6)


def test_pixels_go_in_the_order_of_the_upsampled_map() -> None:
    given = case("vit")
    ramp = torch.arange(4.0, dtype=torch.float64).view(1, 1, 4).expand(2, 4, 4)
    hidden = torch.from_numpy(literal.bilinear(ramp[0].numpy(), 32, 32)) > 2.5
    half = given.inputs * ~hidden  # the right half of the last column of patches
    deletion = evaluation.deletion(given.trace, ramp, unit="pixel", steps=8)
    for i, (run, _, label, _, _) in enumerate(pictures(given, "zero")):
        expected = literal.probability(run, half[i].numpy(), label)
        at = float(hidden.double().mean()) * 8
        assert at == int(at)
        assert float(deletion.values[i, int(at)]) == pytest.approx(expected, abs=1e-12)


class OneLook(VisionTransformer):
    """A Vision Transformer whose decision depends on the patch in row 1, column 2 alone."""

    def forward(self, x: Tensor) -> Tensor:
        usual = super().forward(x) * 0
        seen = x[:, :, 8:16, 16:24].mean((1, 2, 3))
        return usual + torch.stack([seen * 0, 3 * seen, seen * 0], 1)


@cache
def one_look() -> tuple[nn.Module, vaw.Trace, Tensor]:
    torch_state = torch.get_rng_state()
    model = OneLook(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3)
    torch.set_rng_state(torch_state)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1
    picture[:, :, 8:16, 16:24] = 1.0
    perfect = torch.zeros(1, 4, 4)
    perfect[0, 1, 2] = 1
    return model.eval(), vaw.trace(model.eval(), picture, 1), perfect


def test_a_perfect_map_has_the_best_possible_scores() -> None:
    _, trace, perfect = one_look()
    generator = torch.Generator().manual_seed(5)
    options: dict[str, Any] = {"fill": "zero", "steps": 16}
    best = {
        "insertion": evaluation.insertion(trace, perfect, **options).area,
        "deletion": evaluation.deletion(trace, perfect, **options).area,
        "positive": evaluation.positive_perturbation(trace, perfect).area,
        "negative": evaluation.negative_perturbation(trace, perfect).area,
    }
    whole, empty = float(trace.probabilities[0, 1]), 1 / 3
    step = (whole - empty) / 32  # half a patch: the trapezoid of the first step
    assert float(best["deletion"]) == pytest.approx(empty + step, abs=1e-6)
    assert float(best["insertion"]) == pytest.approx(whole - step, abs=1e-6)
    assert float(best["negative"]) == 1
    for _ in range(40):
        other = torch.rand(1, 4, 4, generator=generator)
        assert evaluation.insertion(trace, other, **options).area <= best["insertion"] + 1e-9
        assert evaluation.deletion(trace, other, **options).area >= best["deletion"] - 1e-9
        assert evaluation.positive_perturbation(trace, other).area >= best["positive"]
        assert evaluation.negative_perturbation(trace, other).area <= best["negative"]


def test_the_same_map_on_any_scale_scores_the_same() -> None:
    given = case("vit")
    for function in (evaluation.insertion, evaluation.positive_perturbation):
        expected = function(given.trace, given.maps, fill="mean").values
        assert torch.equal(function(given.trace, 7 * given.maps - 3, fill="mean").values, expected)
    torch.testing.assert_close(
        evaluation.average_drop(given.trace, 7 * given.maps - 3),
        evaluation.average_drop(given.trace, given.maps),
    )


def test_with_one_fill_negative_perturbation_is_insertion_read_backwards() -> None:
    given = case("vit-non-square")  # 30 patches: tenths are whole
    there = evaluation.insertion(given.trace, given.maps, fill="mean", steps=10)
    back = evaluation.negative_perturbation(
        given.trace, given.maps, fill="mean", score="probability"
    )
    torch.testing.assert_close(there.values[:, 1:10].flip(1), back.values)


def test_equal_values_are_ordered_at_random_but_always_alike() -> None:
    given = case("vit-non-square")
    flat = torch.zeros_like(given.maps)
    first = evaluation.deletion(given.trace, flat, steps=10)
    assert torch.equal(first.values, evaluation.deletion(given.trace, flat, steps=10).values)
    assert not torch.equal(
        first.values, evaluation.deletion(given.trace, flat, steps=10, seed=1).values
    )
    rows = -torch.arange(30.0, dtype=torch.float64).view(1, 3, 10).expand(2, 3, 10)
    by_rows = evaluation.deletion(given.trace, rows, steps=10)
    assert not torch.equal(first.values, by_rows.values)


def test_a_constant_map_shows_nothing() -> None:
    given = case("vit")
    flat = torch.full_like(given.maps, 4.0)
    empty = completely_hidden(given.trace, "zero")
    for i, (run, picture, label, _, _) in enumerate(pictures(given, "zero")):
        whole = literal.probability(run, picture, label)
        left = literal.probability(run, empty[i].numpy(), label)
        value = float(evaluation.average_drop(given.trace, flat)[i])
        assert value == pytest.approx(max(0, whole - left) / whole)


def test_more_steps_than_patches_give_the_same_area_as_one_a_patch() -> None:
    given = case("vit")
    exact = evaluation.insertion(given.trace, given.maps, steps=16)
    fine = evaluation.insertion(given.trace, given.maps, steps=50)
    assert fine.values.shape == (2, 51)
    torch.testing.assert_close(fine.area, exact.area)


def test_batches_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given = case("vit")
    expected = evaluation.deletion(given.trace, given.maps, fill="noise")
    small = evaluation.deletion(given.trace, given.maps, fill="noise", max_batch=3)
    torch.testing.assert_close(small.values, expected.values, rtol=0, atol=1e-12)
    forward, sizes = type(given.trace.model).forward, []

    def short_of_memory(vit: Any, inputs: Tensor) -> Tensor:
        sizes.append(len(inputs))
        if len(inputs) > 4:
            raise torch.OutOfMemoryError("too much")
        return forward(vit, inputs)

    monkeypatch.setattr(type(given.trace.model), "forward", short_of_memory)
    halved = evaluation.deletion(given.trace, given.maps, fill="noise", max_batch=16)
    torch.testing.assert_close(halved.values, expected.values, rtol=0, atol=1e-12)
    assert max(sizes) > 4


@pytest.mark.parametrize("name", ["vit", "vit-non-square"])
def test_blur_agrees_with_the_literal_twin(name: str) -> None:
    given = case(name)
    hidden = completely_hidden(given.trace, "blur")
    sigma = 1.5 * given.size[0], 1.5 * given.size[1]
    for x, blurred in zip(given.inputs, hidden, strict=True):
        np.testing.assert_allclose(blurred, literal.blur(x.numpy(), sigma), atol=1e-12)


def test_fills() -> None:
    given = case("vit")
    inputs, trace = given.inputs, given.trace
    mean = completely_hidden(trace, "mean")
    torch.testing.assert_close(mean[:, :, 3, 4], inputs.mean((2, 3)))
    assert (completely_hidden(trace, "zero") == 0).all()
    black = completely_hidden(trace, "black")
    (picture,) = trace.model.picture(black[:1])
    assert np.asarray(picture).max() == 0
    noise = completely_hidden(trace, "noise", seed=4)
    assert torch.equal(
        noise[1:], completely_hidden(vaw.trace(given.model, inputs[1:]), "noise", seed=5)
    )
    torch.testing.assert_close(noise.mean((2, 3)), inputs.mean((2, 3)), atol=0.2, rtol=0)
    torch.testing.assert_close(noise.std((2, 3)), inputs.std((2, 3)), atol=0.1, rtol=0.1)
    own = completely_hidden(trace, lambda x: x * 0.5)
    assert torch.equal(own, inputs * 0.5)
    with pytest.raises(ParameterError, match=r"'grey'.*blur, mean, noise, zero, black"):
        completely_hidden(trace, "grey")
    with pytest.raises(ParameterError, match=r"\[2, 3\].*same size"):
        completely_hidden(trace, lambda x: x.mean((2, 3)))


def test_a_target_that_is_no_class_is_measured_itself() -> None:
    given = case("vit")

    def difference(logits: Tensor) -> Tensor:
        assert len(logits) == 2  # whole batches, as it was given
        return logits[:, 1] - logits[:, 2]

    trace = given.trace.retarget(difference)
    insertion = evaluation.insertion(trace, given.maps, steps=4)
    torch.testing.assert_close(insertion.values[:, -1], difference(trace.logits))
    nothing = trace.retarget(lambda logits: logits.sum(-1) * 0)
    assert evaluation.average_drop(nothing, given.maps).isnan().all()


def test_masked_heads_stay_masked() -> None:
    given = case("vit")
    mask = {0: [1], 2: [0]}
    trace = vaw.trace(given.model, given.inputs, [1, 3], head_mask=mask)
    insertion = evaluation.insertion(trace, given.maps, steps=3)
    p = trace.probabilities[torch.arange(2), torch.tensor([1, 3])]
    torch.testing.assert_close(insertion.values[:, -1], p)
    assert not torch.allclose(p, given.trace.probabilities[torch.arange(2), torch.tensor([1, 3])])


def test_nothing_is_left_behind() -> None:
    given = case("vit")
    given.model.train()
    maps = vaw.explainers.legrad(given.trace) if given.trace.has_gradients else given.maps
    with untouched(given.model):
        evaluation.insertion(given.trace, maps, fill="noise", steps=3)
        evaluation.average_drop(given.trace, maps)
    given.model.eval()


def test_scores_on_demand() -> None:
    model = vaw.demo.load_model()
    trace = vaw.trace(model, vaw.demo.scene(seed=4).image)
    attribution = vaw.explainers.daam(trace)
    seen: list[float] = []
    scores = evaluation.scores_of(trace, attribution, progress=lambda f, _: seen.append(f))
    assert seen[-1] == 1
    assert seen == sorted(seen)
    assert scores.layer == 5
    assert scores.method == "daam"
    for name in ("insertion", "deletion"):
        curve = getattr(evaluation, name)(trace, attribution, steps=10)
        assert torch.equal(getattr(scores, name).values, curve.values)
    early = evaluation.scores_of(trace, attribution, layer=1, fill="mean", steps=4)
    expected = evaluation.insertion(trace, attribution.values[:, 1], fill="mean", steps=4)
    assert torch.equal(early.insertion.values, expected.values)
    with pytest.raises(ParameterError, match=r"9.*0 to 5"):
        evaluation.scores_of(trace, attribution, layer=9)


def test_scores_cost_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=4).image)
    attribution, passes = vaw.explainers.daam(trace), []
    forward = type(trace.model).forward
    monkeypatch.setattr(
        type(trace.model), "forward", lambda vit, x: (passes.append(len(x)), forward(vit, x))[1]
    )
    evaluation.scores_of(trace, attribution, steps=10)
    assert sum(passes) == 21
    passes.clear()
    evaluation.scores_of(trace, attribution, steps=10, fill="mean")
    assert sum(passes) == 20


def test_it_can_be_cancelled() -> None:
    trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=4).image)
    calls: list[float] = []

    def stop(fraction: float, label: str) -> None:
        calls.append(fraction)
        if len(calls) == 2:
            raise JobCancelled("enough")

    with untouched(trace.model.model), pytest.raises(JobCancelled):
        evaluation.scores_of(trace, vaw.explainers.daam(trace), progress=stop, max_batch=2)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda maps: maps[:1], r"\[1, 4, 4\].*2 image.*\[2, 4, 4\]"),
        (lambda maps: maps[:, :3], r"\[2, 3, 4\].*4 x 4 patches"),
        (lambda maps: maps.numpy(), "ndarray"),
        (lambda maps: maps.index_fill(0, torch.tensor([1]), torch.nan), "NaN.*image 1"),
        (lambda maps: maps / 0, "infinite.*image 0"),
    ],
)
def test_maps_that_cannot_be_ordered(change: Callable[[Tensor], Any], words: str) -> None:
    given = case("vit")
    with pytest.raises(ParameterError, match=words):
        evaluation.insertion(given.trace, change(given.maps))
    with pytest.raises(ParameterError, match=words):
        evaluation.average_drop(given.trace, change(given.maps))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "0.*at least 1"),
        ({"steps": 2.5}, r"2\.5"),
        ({"unit": "row"}, "'row'.*'patch' or 'pixel'"),
        ({"fill": "pink"}, "'pink'.*blur"),
        ({"max_batch": 0}, "max_batch is 0"),
    ],
)
def test_options_that_do_not_exist(options: dict[str, Any], words: str) -> None:
    given = case("vit")
    with pytest.raises(ParameterError, match=words):
        evaluation.insertion(given.trace, given.maps, **options)


def test_perturbation_scores() -> None:
    given = case("vit")
    with pytest.raises(ParameterError, match=r"'logit'.*'top1' or 'probability'"):
        evaluation.positive_perturbation(given.trace, given.maps, score="logit")


def test_whole_and_empty_pictures_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = case("vit")
    held = Occluder(given.trace)
    forward, passes = type(given.trace.model).forward, []
    monkeypatch.setattr(
        type(given.trace.model),
        "forward",
        lambda vit, x: (passes.append(len(x)), forward(vit, x))[1],
    )
    evaluation.insertion(held, given.maps, fill="zero", steps=5)
    assert sum(passes) == 2 * 6
    evaluation.deletion(held, given.maps, fill="zero", steps=5)
    assert sum(passes) == 2 * (6 + 4)
