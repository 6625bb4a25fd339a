"""The table of an evaluation: what is in it, how it is made, and what it survives."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from models import BY_NAME
from snapshots import untouched
from torch import nn

import vit_attention_widget as vaw
from vit_attention_widget import evaluation, explainers
from vit_attention_widget.errors import ImageError, JobCancelled, ParameterError
from vit_attention_widget.evaluation.metrics import MetricName
from vit_attention_widget.statistics.intervals import bootstrap_interval

COUNT = 10
SCENES = [vaw.demo.scene(seed=2_000_000 + seed) for seed in range(COUNT)]
IMAGES = [scene.image for scene in SCENES]
MASKS = [scene.mask for scene in SCENES]
LABELS = [scene.label for scene in SCENES]
SOME = ["insertion", "positive", "average_drop", "pointing", "average_precision"]
OPTIONS: dict[str, Any] = {"methods": ["legrad", "rollout"], "metrics": SOME, "steps": 4}


@cache
def model() -> nn.Module:
    return vaw.demo.load_model()


@cache
def whole() -> vaw.Evaluation:
    return vaw.evaluate(model(), IMAGES, masks=MASKS, target=LABELS, **OPTIONS)


def same(result: vaw.Evaluation, expected: vaw.Evaluation, tolerance: float = 1e-5) -> None:
    assert result.methods == expected.methods
    assert result.metrics == expected.metrics
    torch.testing.assert_close(
        result.values, expected.values, rtol=0, atol=tolerance, equal_nan=True
    )


def test_every_method_and_metric_beside_what_knows_nothing() -> None:
    scores = vaw.evaluate(model(), IMAGES[0], masks=MASKS[0], steps=3)
    assert scores.methods == (*explainers.METHODS, "center", "random")
    assert scores.metrics == tuple(evaluation.METRICS)
    assert scores.values.shape == (1, len(scores.methods), len(evaluation.METRICS))
    assert not scores.failed
    assert torch.isfinite(scores.values).all()
    assert scores.values.min() >= 0
    assert scores.values.max() <= 1
    without = vaw.evaluate(model(), IMAGES[0], methods="daam", steps=3)
    assert without.metrics == evaluation.FAITHFULNESS
    assert without.methods == ("daam", "center", "random")


@pytest.mark.slow
def test_values_are_those_of_the_functions() -> None:
    scores = whole()
    for start in (0, 8):  # as they are cut into batches
        part = slice(start, start + 8)
        trace = vaw.trace(model(), IMAGES[part], LABELS[part])
        maps = {
            "legrad": explainers.legrad(trace),
            "rollout": explainers.rollout(trace),
            "center": evaluation.center(trace),
            "random": evaluation.random(trace, seed=start),
        }
        on = torch.from_numpy(np.stack(MASKS[part]))
        for name, each in maps.items():
            curve = evaluation.insertion(trace, each, steps=4)
            heat = each.upsample((80, 80))
            expected = {
                "insertion": curve.area,
                "positive": evaluation.positive_perturbation(trace, each).area,
                "average_drop": evaluation.average_drop(trace, each),
                "pointing": evaluation.pointing_game(heat, on),
                "average_precision": evaluation.average_precision(heat, on),
            }
            for metric, values in expected.items():
                torch.testing.assert_close(scores.of(name, metric)[part], values, msg=metric)


@pytest.mark.slow
def test_however_the_images_come() -> None:
    pairs = list(zip(IMAGES, LABELS, strict=True))
    inputs = vaw.describe(model()).prepare(IMAGES)
    ways: dict[str, tuple[Any, Any, Any]] = {
        "generator": ((pair for pair in pairs), iter(MASKS), None),
        "pairs": (pairs, MASKS, None),
        "tensor": (inputs, torch.from_numpy(np.stack(MASKS)), LABELS),
        "batches": ([(inputs[:6], LABELS[:6]), (inputs[6:], LABELS[6:])], MASKS, None),
    }
    for name, (images, masks, target) in ways.items():
        scores = vaw.evaluate(model(), images, masks=masks, target=target, **OPTIONS)
        assert scores.error is None, name
        same(scores, whole())
    small = vaw.evaluate(model(), IMAGES, masks=MASKS, target=LABELS, **OPTIONS, max_batch=3)
    same(small, whole())


@pytest.mark.slow
def test_steps_grow() -> None:
    steps = list(vaw.evaluate_steps(model(), IMAGES, LABELS, masks=MASKS, **OPTIONS))
    assert [len(each) for each in steps] == [8, 10]
    same(steps[-1], whole())
    first = next(vaw.evaluate_steps(model(), IMAGES, LABELS, masks=MASKS, **OPTIONS))
    torch.testing.assert_close(first.values, whole().values[:8])


def test_several_fills_have_a_column_each() -> None:
    scores = vaw.evaluate(
        model(), IMAGES[:2], masks=MASKS[:2], methods="daam",
        metrics=["deletion", "increase", "energy"], fill=("blur", "mean", "noise"), steps=3,
    )  # fmt: skip
    assert scores.metrics == (
        "deletion (blur)", "deletion (mean)", "deletion (noise)",
        "increase (blur)", "increase (mean)", "increase (noise)", "energy",
    )  # fmt: skip
    one = vaw.evaluate(
        model(), IMAGES[:2], methods="daam", metrics="deletion", fill="mean", steps=3
    )
    assert one.metrics == ("deletion",)
    torch.testing.assert_close(one["deletion"], scores["deletion (mean)"])
    own = vaw.evaluate(
        model(), IMAGES[0], methods="daam", metrics="deletion", fill=torch.zeros_like, steps=3
    )
    zero = vaw.evaluate(
        model(), IMAGES[0], methods="daam", metrics="deletion", fill="zero", steps=3
    )
    same(own, zero)


def test_methods_with_options_and_methods_of_one_s_own() -> None:
    methods = {
        "late": partial(explainers.legrad, start=4),
        "oracle": lambda t: explainers.Attribution(t.inputs.mean(1)[:, None, ::8, ::8], "", ""),
    }
    scores = vaw.evaluate(model(), IMAGES[0], methods=methods, metrics="increase")
    assert scores.methods == ("late", "oracle", "center", "random")


def test_a_perfect_map_beats_all_at_localization() -> None:
    """Maps at the patches' own pixels, and an object that is whole patches."""
    mask = np.zeros((80, 80), bool)
    mask[16:40, 24:48] = True
    perfect = torch.zeros(1, 1, 10, 10)
    perfect[..., 2:5, 3:6] = 1
    scores = vaw.evaluate(
        model(), IMAGES[0], masks=mask,
        methods={
            "perfect": lambda t: explainers.Attribution(perfect, "", ""), **explainers.METHODS
        },
        metrics=evaluation.LOCALIZATION, interpolation="nearest",
    )  # fmt: skip
    for metric in evaluation.LOCALIZATION:
        assert scores.mean("perfect", metric) == 1
        assert max(scores.mean(m, metric) for m in scores.methods) == 1


def test_images_without_a_mask_or_an_object_are_left_out() -> None:
    masks = [MASKS[0], None, np.zeros((80, 80), bool)]
    scores = vaw.evaluate(
        model(), IMAGES[:3], masks=masks, methods="daam", metrics=["pointing", "increase"]
    )
    assert scores.of("daam", "pointing").isnan().tolist() == [False, True, True]
    assert not scores.of("daam", "increase").isnan().any()
    rows = {(r["method"], r["metric"]): r for r in scores.rows()}
    assert rows["daam", "pointing"]["images"] == 1
    assert rows["daam", "increase"]["images"] == 3
    assert scores.mean("daam", "pointing") == float(scores.of("daam", "pointing")[0])


def test_one_image_has_means_but_no_intervals() -> None:
    scores = vaw.evaluate(model(), IMAGES[0], masks=MASKS[0], methods="daam", metrics="energy")
    assert scores.mean("daam", "energy") > 0
    assert np.isnan(scores.interval("daam", "energy")).all()
    assert "[" not in scores.summary().split("\n", 1)[1]


# Statistics --------------------------------------------------------------------------------------


def test_bootstrap_intervals() -> None:
    values = torch.tensor(np.random.default_rng(0).normal(3, 2, 400))
    low, high = bootstrap_interval(values)
    half = 1.96 * float(values.std()) / 20
    assert low == pytest.approx(float(values.mean()) - half, abs=0.05)
    assert high == pytest.approx(float(values.mean()) + half, abs=0.05)
    assert bootstrap_interval(values) == (low, high)
    narrow = bootstrap_interval(values, 0.5)
    assert low < narrow[0] < narrow[1] < high
    with_nan = torch.cat([values, torch.full((50,), torch.nan)])
    assert bootstrap_interval(with_nan) == (low, high)
    assert bootstrap_interval(torch.full((30,), 0.25)) == (0.25, 0.25)
    assert np.isnan(bootstrap_interval(values[:1])).all()
    for level in (0.0, 1.0, 95):
        with pytest.raises(ParameterError, match=r"level is"):
            bootstrap_interval(values, level)


def test_how_often_an_interval_holds_the_truth() -> None:
    """Of 200 experiments with 40 images each, some 95 % must hold the true share, 0.3."""
    rng = np.random.default_rng(1)
    holds = 0
    for _ in range(200):
        low, high = bootstrap_interval(torch.tensor((rng.random(40) < 0.3).astype(float)))
        holds += low <= 0.3 <= high
    assert 180 <= holds <= 199


@pytest.mark.slow
def test_differences_are_taken_image_by_image() -> None:
    scores = whole()
    better, low, high = scores.against("legrad", "random", "average_precision")
    expected = scores.of("legrad", "average_precision") - scores.of("random", "average_precision")
    assert better == pytest.approx(float(expected.mean()))
    assert low <= better <= high
    assert scores.against("random", "legrad", "average_precision")[0] == -better
    lower = scores.against("legrad", "random", "average_drop")[0]
    drop = scores.of("random", "average_drop") - scores.of("legrad", "average_drop")
    assert lower == pytest.approx(float(drop.mean()))


# Out of the notebook -----------------------------------------------------------------------------


def test_tables(tmp_path: Path) -> None:
    scores = whole()
    table = scores.to_dataframe()
    assert list(table.columns) == ["method", "metric", "better", "mean", "low", "high", "images"]
    assert len(table) == 4 * len(SOME)
    assert (table["low"] <= table["mean"]).all()
    by_image = scores.to_dataframe(by_image=True)
    assert list(by_image.columns) == ["image", "method", *SOME]
    assert len(by_image) == COUNT * 4
    scores.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["mean"]) == scores.mean(rows[0]["method"], rows[0]["metric"])
    scores.to_csv(tmp_path / "images.csv", by_image=True)
    assert len((tmp_path / "images.csv").read_text().splitlines()) == 1 + COUNT * 4


def test_pictures() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    scores = whole()
    curves = scores.plot()
    assert [line.get_label().split()[0] for line in curves.lines] == list(scores.methods)
    assert "shown" in curves.get_xlabel()
    means = scores.plot(metric="pointing")
    labels = [tick.get_text() for tick in means.get_yticklabels()]
    assert labels[-1] == max(scores.methods, key=lambda m: scores.mean(m, "pointing"))
    assert "top-1" in scores.plot(means, metric="positive").get_ylabel()


def test_curves() -> None:
    fractions, values = whole().curve("legrad", "insertion")
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    area = torch.trapezoid(values.double(), fractions.double())
    assert float(area) == pytest.approx(whole().mean("legrad", "insertion"), abs=1e-6)
    assert len(whole().curve("legrad", "positive")[0]) == 9
    with pytest.raises(ParameterError, match=r"pointing has no curve.*insertion, positive"):
        whole().curve("legrad", "pointing")


def test_the_summary_says_what_a_method_does_not_beat() -> None:
    def backwards(trace: vaw.Trace) -> explainers.Attribution:
        maps = explainers.legrad(trace)
        return explainers.Attribution(-maps.values, "backwards", maps.target)

    methods = {"backwards": backwards, "legrad": explainers.legrad}
    scores = vaw.evaluate(model(), IMAGES, masks=MASKS, methods=methods, metrics="energy")
    text = scores.summary()
    assert "No better than random by energy: backwards." in text
    assert "No better than random by energy: backwards, legrad." not in text
    ranked = [line.split()[0] for line in text.splitlines() if "  [" in line]
    assert ranked[-1] == "backwards"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e: e.of("gmar", "pointing"), r"'gmar'.*legrad, rollout, center, random"),
        (lambda e: e["deletion"], r"'deletion'.*insertion.*metrics=\['deletion'"),
    ],
)
def test_what_was_not_computed(call: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        call(whole())


# What goes wrong ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_data_set_that_breaks_keeps_what_was_computed() -> None:
    def broken() -> Iterator[Any]:
        yield from zip(IMAGES[:8], LABELS[:8], strict=True)
        yield b"not a picture", 3
        yield IMAGES[9], 3

    with pytest.warns(UserWarning, match=r"ended early.*first 8"):
        scores = vaw.evaluate(model(), broken(), masks=MASKS, **OPTIONS)
    assert isinstance(scores.error, ImageError)
    torch.testing.assert_close(scores.values, whole().values[:8])
    assert "Stopped early" in scores.summary()

    def dying() -> Iterator[Any]:
        yield from zip(IMAGES[:8], LABELS[:8], strict=True)
        raise OSError("the disk is gone")

    with pytest.warns(UserWarning, match="the disk is gone"):
        scores = vaw.evaluate(model(), dying(), masks=MASKS, **OPTIONS)
    assert isinstance(scores.error, OSError)

    def dead() -> Iterator[Any]:
        raise OSError("at once")
        yield

    with pytest.raises(OSError, match="at once"):
        vaw.evaluate(model(), dead(), masks=MASKS, **OPTIONS)


@pytest.mark.slow
def test_masks_that_break_keep_what_was_computed() -> None:
    with pytest.raises(ParameterError, match=r"fewer masks than images"):  # which may be shifted
        vaw.evaluate(model(), IMAGES, masks=iter(MASKS[:9]), target=LABELS, **OPTIONS)
    assert len(vaw.kept_result()) == 8

    def dying() -> Iterator[Any]:
        yield from MASKS[:9]
        raise OSError("the disk is gone")

    with pytest.warns(UserWarning, match=r"masks ended with OSError: the disk is gone"):
        scores = vaw.evaluate(model(), IMAGES, masks=dying(), target=LABELS, **OPTIONS)
    assert len(scores) == 8
    wrong = [*MASKS[:8], np.ones((3, 3), bool), MASKS[9]]
    with pytest.raises(ParameterError, match=r"3 x 3"):
        vaw.evaluate(model(), IMAGES, masks=wrong, target=LABELS, **OPTIONS)
    assert len(vaw.kept_result()) == 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["NaN", "refuses"])
def test_a_method_that_fails_is_named_and_the_others_go_on(kind: str) -> None:
    def method(trace: vaw.Trace) -> explainers.Attribution:
        if kind == "refuses":
            raise vaw.errors.CaptureError("cannot be seen")
        maps = explainers.legrad(trace)
        return explainers.Attribution(maps.values * torch.nan, "bad", maps.target)

    with pytest.warns(UserWarning, match="bad could not explain some images"):
        scores = vaw.evaluate(
            model(), IMAGES, masks=MASKS, methods={"bad": method, "legrad": explainers.legrad},
            target=LABELS, metrics=SOME, steps=4,
        )  # fmt: skip
    assert set(scores.failed) == {"bad"}
    assert scores.values[:, 0].isnan().all()
    torch.testing.assert_close(scores.of("legrad", "insertion"), whole().of("legrad", "insertion"))
    assert "bad failed" in scores.summary()
    assert scores.curve("bad", "insertion")[1].isnan().all()


@pytest.mark.slow
def test_it_can_be_cancelled_and_leaves_nothing_behind() -> None:
    seen: list[tuple[float, str]] = []

    def watch(fraction: float, label: str) -> None:
        seen.append((fraction, label))

    with untouched(model()):
        vaw.evaluate(model(), IMAGES, masks=MASKS, progress=watch, **OPTIONS)
    assert seen[-1][0] == pytest.approx(1)
    assert all(0 <= fraction <= 1 for fraction, _ in seen)
    assert "of 10" in seen[0][1]
    assert len(seen) > 20

    def stop(fraction: float, label: str) -> None:
        if fraction > 0.5:
            raise JobCancelled("enough")

    with untouched(model()), pytest.raises(JobCancelled):
        vaw.evaluate(model(), IMAGES, masks=MASKS, progress=stop, **OPTIONS)


def test_a_model_in_training_mode_is_left_in_it() -> None:
    tiny = BY_NAME["vit-avg"]
    built = tiny.build().train()
    for parameter in built.parameters():
        parameter.requires_grad_(False)
    with untouched(built):
        scores = vaw.evaluate(built, tiny.inputs(3), methods=["daam", "gmar"], steps=3)
    assert torch.isfinite(scores.values).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": "sharpness"}, r"'sharpness'.*insertion"),
        ({"metrics": []}, "No metric"),
        ({"metrics": "pointing"}, r"pointing compares with ground-truth masks: give masks="),
        ({"methods": "lime"}, r"'lime'.*daam"),
        ({"methods": {"center": evaluation.center}}, "'center' is the name of a baseline"),
        ({"fill": "pink"}, "'pink'.*blur"),
        ({"unit": "row"}, "'row'"),
        ({"steps": 0}, "steps is 0"),
        ({"max_batch": 0}, "max_batch is 0"),
        ({"masks": MASKS[:2]}, "2 masks were given for 3 images"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        vaw.evaluate(model(), IMAGES[:3], **options)


def test_no_images() -> None:
    with pytest.raises(ImageError, match=r"empty|no images"):
        vaw.evaluate(model(), [])


# Baselines ---------------------------------------------------------------------------------------


def test_baselines_are_attributions() -> None:
    tiny = BY_NAME["vit-non-square"]
    trace = vaw.trace(tiny.build(), tiny.inputs())
    center = evaluation.center(trace)
    assert center.values.shape == (2, 3, 3, 10)
    assert torch.equal(center.final, center.final.flip(1))
    assert torch.equal(center.final, center.final.flip(2))
    assert center.final.amax() == center.final[0, 1, 4] == center.final[1, 1, 5]
    with pytest.raises(ParameterError, match="sigma is 0"):
        evaluation.center(trace, sigma=0)
    state = torch.get_rng_state()
    random = evaluation.random(trace, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    assert random.values.shape == (2, 3, 3, 10)
    assert not torch.equal(random.final[0], random.final[1])
    second = vaw.trace(trace.model, tiny.inputs()[1:])
    assert torch.equal(evaluation.random(second, seed=4).final[0], random.final[1])


def test_the_names_of_metrics_are_a_type() -> None:
    assert get_args(MetricName) == tuple(evaluation.METRICS)
