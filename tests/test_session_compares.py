"""Maps beside each other in a session: what is computed, kept and sent, and who may ask."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load
from test_compare import PAIRS, SCENES, models
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError, UnsupportedModelError
from vit_attention_widget.explainers import METHODS
from vit_attention_widget.session.lanes import Job, Lane
from vit_attention_widget.session.studies import comparison_payload
from vit_attention_widget.statistics.ranks import rank_correlation
from vit_attention_widget.tracing.gradients import output_gradients


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=99).image, image_set=PAIRS)
    assert session.wait(60)
    yield session
    session.close()


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


def test_a_session_compares_models() -> None:
    image = vaw.demo.scene(seed=2).image
    by_name = models()
    pruned = vaw.prune_heads(by_name["bundled"], {0: [1]})
    others = {"pruned": pruned, "fine": by_name["fine"]}
    session = vaw.Session(by_name["bundled"], image, "star", models=others)
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
