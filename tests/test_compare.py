"""Maps beside each other: what they are of, and how far they agree."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import timm
import torch
from reference.spearman import spearman
from test_session import PICTURE, tiny
from twins import twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError
from vit_attention_widget.explainers import METHODS
from vit_attention_widget.statistics.ranks import average_ranks, rank_correlation
from vit_attention_widget.tracing.gradients import output_gradients

SCENES = [vaw.demo.scene(seed=seed) for seed in range(6)]
PAIRS = [(scene.image, scene.label) for scene in SCENES]


@pytest.fixture
def trace() -> vaw.Trace:
    return vaw.trace(vaw.demo.load_model(), SCENES[1].image)


# --- rank correlation ----------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_rank_correlation_against_its_definition(levels: int) -> None:
    maps = np.random.default_rng(levels).integers(0, levels, (4, 5, 6)).astype(np.float32)
    correlation = rank_correlation(maps)
    for i in range(4):
        for j in range(4):
            expected = spearman(maps[i].flatten().tolist(), maps[j].flatten().tolist())
            assert correlation[i, j] == pytest.approx(expected, abs=1e-12)


def test_equal_values_share_a_rank() -> None:
    assert average_ranks(np.array([3.0, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]


def test_only_the_order_counts() -> None:
    values = np.random.default_rng(0).random((3, 3))
    correlation = rank_correlation(np.stack([values, np.exp(9 * values), -values, np.ones((3, 3))]))
    np.testing.assert_allclose(correlation[:3, :3], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    assert np.isnan(correlation[3]).all()
    assert np.isnan(correlation[:, 3]).all()


# --- what is computed ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "vit-non-square"])
def test_all_methods_of_a_trace(name: str) -> None:
    pair = twins(name)
    comparison = vaw.compare(pair.trace)
    assert len(comparison) == 2 * len(METHODS) - 2 * len(comparison.skipped)
    for i, item in enumerate(comparison.items):
        expected = METHODS[item.method](pair.trace).final[item.image].numpy()
        np.testing.assert_array_equal(comparison.values[i], expected.astype(np.float32))
        assert item.target == pair.trace.model.class_name([1, 3][item.image])
        assert item.layer == pair.trace.num_layers - 1
    a, b = comparison.values[0].flatten().tolist(), comparison.values[3].flatten().tolist()
    assert comparison.rank_correlation[0, 3] == pytest.approx(spearman(a, b), abs=1e-12)


def test_a_class_costs_one_backward_pass(trace, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    module = sys.modules["vit_attention_widget.tracing.trace"]
    counted = lambda *parts: passes.append(1) or output_gradients(*parts)  # noqa: E731
    monkeypatch.setattr(module, "output_gradients", counted)
    monkeypatch.setattr(
        "vit_attention_widget.tracing.run.Capture.__enter__", None
    )  # no forward pass
    best = trace.probabilities[0].topk(4).indices
    comparison = vaw.compare(trace, methods=["daam", "gmar", "rollout"], target=best)
    assert len(passes) == 4
    assert comparison.differ == ("target", "method")
    rollouts = [m for m, item in zip(comparison.values, comparison.items, strict=True)
                if item.method == "rollout"]  # fmt: skip
    assert all(np.array_equal(rollouts[0], other) for other in rollouts)
    expected = vaw.explainers.daam(trace.retarget(int(best[2]))).final[0]
    np.testing.assert_allclose(comparison.values[6], expected.numpy(), rtol=1e-6)
    vaw.compare(trace, methods="daam", target=trace.target.index[0])
    assert len(passes) == 5  # the trace's own class, for the trace itself
    vaw.compare(trace, methods="daam", target=trace.target.index[0])
    assert len(passes) == 5


def test_layers_of_one_method(trace: vaw.Trace) -> None:
    comparison = vaw.compare(trace, methods="daam", layer=None)
    assert comparison.differ == ("layer",)
    assert comparison.one_unit
    np.testing.assert_array_equal(comparison.values, vaw.explainers.daam(trace).values[0].numpy())
    some = vaw.compare(trace, methods="daam", layer=[0, -2])
    assert some.names == ("layer 0", "layer 4")


def test_images_each_for_its_own_class() -> None:
    model = vaw.demo.load_model()
    comparison = vaw.compare(model, PAIRS, methods="daam")
    assert [item.image for item in comparison.items] == list(range(6))
    for i, scene in enumerate(SCENES):
        one = vaw.explainers.daam(vaw.trace(model, scene.image, scene.label))
        np.testing.assert_allclose(comparison.values[i], one.final[0].numpy(), rtol=1e-5, atol=1e-9)
    unlabelled = vaw.compare(model, [scene.image for scene in SCENES[:2]], methods="daam")
    predicted = vaw.trace(model, SCENES[0].image).target.name
    assert unlabelled.items[0].target == predicted


def test_agreement_names_and_tables(trace: vaw.Trace) -> None:
    comparison = vaw.compare(trace, methods=["daam", "rollout", "attention"])
    table = comparison.rank_correlation
    assert comparison.agreement[0] == pytest.approx((table[0, 1] + table[0, 2]) / 2)
    assert list(comparison.to_dataframe().columns) == ["daam", "rollout", "attention"]
    assert "method" in repr(comparison)
    alone = vaw.compare(trace, methods="daam")
    assert alone.names == ("daam",)
    assert np.isnan(alone.agreement).all()
    for scale in (None, "shared", "own", "rank"):
        axes = comparison.plot(scale=scale)
        figure = axes.figure
        assert len(figure.axes) >= 4
        __import__("matplotlib.pyplot").pyplot.close(figure)
    with pytest.raises(ParameterError, match="loud"):
        comparison.plot(scale="loud")


def test_functions_of_ones_own(trace: vaw.Trace) -> None:
    own = {"max": lambda t: vaw.explainers.rollout(t, head_fusion="max"), "daam": METHODS["daam"]}
    assert vaw.compare(trace, methods=own).names == ("max", "daam")


def test_without_a_classifier_some_methods_are_skipped() -> None:
    model = tiny()
    model.reset_classifier(0)
    comparison = vaw.compare(model.eval(), PICTURE)
    assert {"rollout", "attention"} <= set(comparison.names)
    assert "classifier" in comparison.skipped["daam"]
    with pytest.raises(TargetError):
        vaw.compare(model, PICTURE, methods="daam")


def test_progress_can_stop_it(trace: vaw.Trace) -> None:
    seen: list[float] = []
    vaw.compare(trace, progress=lambda fraction, _: seen.append(fraction))
    assert len(seen) == len(METHODS)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": "luck"}, "no method 'luck'"),
        ({"methods": []}, "methods is"),
        ({"methods": 3}, "methods is 3"),
        ({"target": []}, "targets is empty"),
        ({"target": [0, "unicorn"]}, "unicorn"),
        ({"layer": 6}, "no layer 6"),
        ({"layer": -7}, "no layer -7"),
        ({"layer": []}, "layers is empty"),
        ({"layer": "last"}, "no layer 'l'"),
        ({"images": PICTURE}, "images was given beside a trace"),
    ],
)
def test_mistakes_are_named(trace: vaw.Trace, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ParameterError, TargetError), match=message):
        vaw.compare(trace, **options)
    with pytest.raises(ParameterError, match="no images"):
        vaw.compare(trace.model)


def test_maps_of_half_precision_compare() -> None:
    model = tiny().to(torch.bfloat16)
    comparison = vaw.compare(model, PICTURE, methods=["daam", "rollout"])
    assert comparison.values.dtype == torch.float32
    assert np.isfinite(comparison.rank_correlation).all()


# --- models --------------------------------------------------------------------------------------


def models() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    fine = timm.create_model("test_vit", img_size=80, patch_size=4, num_classes=10).eval()
    return {"bundled": vaw.demo.load_model(), "fine": fine}


def test_models_side_by_side() -> None:
    image, by_name = vaw.demo.scene(seed=2).image, models()
    comparison = vaw.compare(by_name, image, 3, methods=["daam", "rollout"])
    assert comparison.values.shape == (4, 20, 20)  # the finest grid
    assert comparison.differ == ("model", "target", "method")
    assert [item.model for item in comparison.items] == ["bundled", "bundled", "fine", "fine"]
    assert not comparison.one_unit
    fine = METHODS["daam"](vaw.trace(by_name["fine"], image, 3)).final[0].numpy()
    np.testing.assert_allclose(comparison.values[2], fine, rtol=1e-5, atol=1e-7)
    coarse = METHODS["daam"](vaw.trace(by_name["bundled"], image, 3)).final
    larger = torch.nn.functional.interpolate(coarse[None], (20, 20), mode="bilinear")[0, 0]
    np.testing.assert_allclose(comparison.values[0], larger.numpy(), rtol=1e-5, atol=1e-7)
    with pytest.raises(ParameterError, match="no models"):
        vaw.compare({}, image)
