"""Maps beside each other: what they are of, how far they agree, and who may ask for them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import timm
import torch
from reference.spearman import spearman
from safetensors.numpy import load
from test_session import PICTURE, tiny
from twins import twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError, UnsupportedModelError
from vit_attention_widget.explainers import METHODS
from vit_attention_widget.session.lanes import Job, Lane
from vit_attention_widget.session.studies import comparison_payload
from vit_attention_widget.statistics.ranks import average_ranks, rank_correlation
from vit_attention_widget.tracing.gradients import output_gradients

SCENES = [vaw.demo.scene(seed=seed) for seed in range(6)]
PAIRS = [(scene.image, scene.label) for scene in SCENES]


@pytest.fixture
def trace() -> vaw.Trace:
    return vaw.trace(vaw.demo.load_model(), SCENES[1].image)


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=99).image, image_set=PAIRS)
    assert session.wait(60)
    yield session
    session.close()


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


# --- the session ---------------------------------------------------------------------------------


def test_a_session_compares_methods_without_computing_them_again(
    session: vaw.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tuple(METHODS):
        monkeypatch.setitem(METHODS, name, None)
    session.compare_maps()
    assert session.wait(60)
    comparison = session._comparison
    assert comparison["of"] == "methods"
    assert comparison["asked"] == ""
    assert comparison["keys"] == list(METHODS)
    assert comparison["version"] == session._version
    maps = load(session._comparison_maps)["maps"]
    for i, method in enumerate(comparison["keys"]):
        np.testing.assert_array_equal(maps[i], session.attributions[method][-1])
    table = np.array(comparison["correlation"], float)
    np.testing.assert_allclose(table, rank_correlation(maps), atol=1e-4)
    session.compare_maps("layers", "legrad")
    assert session.wait(60)
    np.testing.assert_array_equal(session.compared.values, session.attributions["legrad"])


def test_a_session_compares_classes(session: vaw.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    module = sys.modules["vit_attention_widget.tracing.trace"]
    counted = lambda *parts: passes.append(1) or output_gradients(*parts)  # noqa: E731
    monkeypatch.setattr(module, "output_gradients", counted)
    monkeypatch.setattr("vit_attention_widget.session.traces.trace", None)
    best = session.trace.probabilities[0].topk(5).indices.tolist()
    other = next(i for i in range(10) if i not in best)
    session.compare_maps("classes", "daam")
    assert session.wait(60)
    assert session._comparison["keys"] == best
    assert len(passes) == 4  # the class that is explained was there
    session.compare_maps("classes", "daam", [other, best[0], other])
    assert session.wait(60)
    assert session._comparison["keys"] == [*best, other]
    assert session._comparison["classes"] == [other, best[0]]
    assert len(passes) == 5
    expected = vaw.explainers.daam(session.trace.retarget(other)).final[0].numpy()
    np.testing.assert_allclose(session.compared.values[-1], expected, rtol=1e-5)
    assert session._comparison["notes"][0].endswith("%")


def test_a_session_compares_images(session: vaw.Session) -> None:
    session.compare_maps("images", "daam")
    assert session.wait(60)
    expected = vaw.compare(session.model, PAIRS, methods="daam")
    np.testing.assert_allclose(session.compared.values, expected.values, rtol=1e-5, atol=1e-9)
    assert session._comparison["notes"] == [item.target for item in expected.items]
    stamp = session._comparison["stamp"]
    session.selected_image = 3  # as a click on an image does
    assert session.wait(60)
    session.compare_maps("images", "daam")
    assert session._comparison["version"] == session._version
    assert session.wait(60)
    assert session._comparison["stamp"] == stamp  # still true, so not computed again
    session.pruned_heads = [(0, 0)]
    session.compare_maps("images", "daam")
    assert session.wait(60)
    assert session._comparison["stamp"] > stamp
    session.model = vaw.prune_heads(session.model, {0: [0]})
    assert session._comparison_maps == b""
    assert "names" not in session._comparison
    assert session.wait(60)


def test_another_image_takes_the_comparison_away(session: vaw.Session) -> None:
    session.compare_maps("classes", "daam", [7])
    assert session.wait(60)
    session.image = SCENES[2].image
    assert session._comparison == {"of": "classes", "method": "daam", "asked": "", "classes": [7]}
    assert session._comparison_maps == b""
    assert session.compared is None
    assert session.wait(60)


def test_pruning_shows_in_the_comparison(session: vaw.Session) -> None:
    session.compare_maps()
    assert session.wait(60)
    before = session.compared.values
    session.pruned_heads = [(2, 0), (3, 1)]
    session.compare_maps()
    assert session.wait(60)
    assert session._comparison["version"] == session._version
    assert not np.array_equal(before, session.compared.values)
    np.testing.assert_array_equal(session.compared.values[0], session.attributions["daam"][-1])


def hold(lane: Lane) -> Callable[[], None]:
    """Keep a lane busy until it is let go."""
    started, go_on = threading.Event(), threading.Event()

    def work(_: object) -> None:
        started.set()
        go_on.wait(10)

    lane.submit(Job("held", "", work))
    assert started.wait(10)
    return go_on.set


def test_the_latest_request_wins_and_cancelling_keeps_what_was_there(session: vaw.Session) -> None:
    session.compare_maps("layers")
    assert session.wait(60)
    release = hold(session._context.lanes.longest)
    for of in ("images", "methods", "images", "classes"):
        session.compare_maps(of)
        assert session._comparison["asked"] == of
    session.cancel()
    release()
    assert session.wait(60)
    assert session._comparison["asked"] == ""
    assert session._comparison["of"] == "layers"
    release = hold(session._context.lanes.longest)
    for of in ("images", "classes", "layers", "methods"):
        session.compare_maps(of)
    release()
    assert session.wait(60)
    assert session._comparison["of"] == "methods"
    assert session.status["state"] == "idle"


def test_a_method_that_does_not_work_is_skipped(
    session: vaw.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: vaw.Trace) -> None:
        raise UnsupportedModelError("not this model")

    monkeypatch.setitem(METHODS, "legrad", refuse)
    del session.studies.maps.maps["legrad"]
    session.compare_maps()
    assert session.wait(60)
    assert session._comparison["skipped"] == {"legrad": "not this model"}
    assert "legrad" not in session._comparison["keys"]


def test_it_may_be_asked_for_before_the_first_look() -> None:
    session = vaw.Session(tiny(), PICTURE)
    session.compare_maps()
    assert session.wait(60)
    assert len(session.compared) == len(METHODS)
    session.close()


def test_what_a_session_cannot_compare(session: vaw.Session) -> None:
    for wrong in ({"of": "models"}, {"method": "luck"}, {"of": "classes", "classes": range(13)}):
        with pytest.raises((ParameterError, TargetError)):
            session.compare_maps(**wrong)
    with pytest.raises(TargetError):
        session.compare_maps("classes", classes=["unicorn"])
    alone = vaw.Session(tiny(), PICTURE)
    with pytest.raises(ParameterError, match="image_set"):
        alone.compare_maps("images")
    alone.close()
    assert session._comparison == {}


@pytest.mark.parametrize(("count", "side"), [(9, 14), (24, 64), (48, 160), (48, 400)])
def test_large_maps_are_sent_smaller(count: int, side: int) -> None:
    maps = np.random.default_rng(0).random((count, side, side)).astype(np.float32) * 1e-6
    maps[1] *= 1e12
    maps[2] = 0
    sent = comparison_payload.maps_payload(maps, 3)
    assert len(sent) < 401_000
    tensors = load(sent)
    back = tensors["maps"].astype(np.float32)
    if "scale" in tensors:
        back *= tensors["scale"][:, None, None]
    if back.shape == maps.shape:
        np.testing.assert_allclose(back, maps, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(back.mean((1, 2)), maps.mean((1, 2)), rtol=1e-2)


# --- the widget ----------------------------------------------------------------------------------


def test_requests_of_the_browser(session: vaw.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = vaw.CompareView(session=session)
    replies: list[Any] = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: replies.append(content))

    def ask(**params: Any) -> None:
        widget._handle_custom_msg({"id": "a", "method": "compare", "params": params}, [])
        assert session.wait(60)

    ask(of="classes", method="daam", classes=[7])
    assert replies[-1]["ok"]
    assert widget._comparison["classes"] == [7]
    assert widget._comparison == session._comparison
    assert widget._comparison_maps == session._comparison_maps
    ask(of="methods")
    assert widget._comparison["of"] == "methods"
    count = len(replies)
    for wrong in (
        {},
        {"of": "all"},
        {"of": "layers", "method": "luck"},
        {"of": "classes", "classes": 7},
        {"of": "classes", "classes": [True]},
        {"of": "classes", "classes": [10]},
        {"of": "classes", "classes": [1] * 13},
    ):
        ask(**wrong)
    assert ["error" in reply for reply in replies[count:]] == [True] * 7
    assert widget._comparison["of"] == "methods"
    widget.set_state({"_comparison": {"of": "hacked"}})
    assert session._comparison["of"] == "methods"
    widget.close()


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
    image = vaw.demo.scene(seed=2).image
    comparison = vaw.compare(models(), image, 3, methods=["daam", "rollout"])
    assert comparison.values.shape == (4, 20, 20)  # the finest grid
    assert comparison.differ == ("model", "target", "method")
    assert [item.model for item in comparison.items] == ["bundled", "bundled", "fine", "fine"]
    assert not comparison.one_unit
    own = METHODS["daam"](vaw.trace(models()["fine"], image, 3)).final[0].numpy()
    np.testing.assert_allclose(comparison.values[2], own, rtol=1e-5, atol=1e-7)
    coarse = METHODS["daam"](vaw.trace(models()["bundled"], image, 3)).final
    larger = torch.nn.functional.interpolate(coarse[None], (20, 20), mode="bilinear")[0, 0]
    np.testing.assert_allclose(comparison.values[0], larger.numpy(), rtol=1e-5, atol=1e-7)
    with pytest.raises(ParameterError, match="no models"):
        vaw.compare({}, image)


def test_a_session_compares_models() -> None:
    image = vaw.demo.scene(seed=2).image
    known = models()
    pruned = vaw.prune_heads(known["bundled"], {0: [1]})
    others = {"pruned": pruned, "fine": known["fine"]}
    session = vaw.Session(known["bundled"], image, "star", models=others)
    session.wait()
    assert session._model_info["other_models"] == ["pruned", "fine"]
    session.compare_maps("models", "gmar")
    session.wait()
    assert session.status["error"] is None
    assert session._comparison["names"] == [session._model_info["name"], "pruned", "fine"]
    direct = METHODS["gmar"](vaw.trace(pruned, image, "star")).final
    larger = torch.nn.functional.interpolate(direct[None], (20, 20), mode="bilinear")[0, 0]
    np.testing.assert_allclose(session.compared.values[1], larger.numpy(), rtol=1e-4, atol=1e-6)
    assert session._comparison["notes"][1].startswith("star ")
    with pytest.raises(ParameterError, match="different models"):
        session.score_compared()
    session.close()


def test_no_other_models(session: vaw.Session) -> None:
    with pytest.raises(ParameterError, match="models="):
        session.compare_maps("models")
