"""Sessions: what is selected decides what is computed, and nothing is lost on the way."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
import timm
import torch

import vit_attention_widget as vaw
from vit_attention_widget.errors import (
    ImageError,
    ParameterError,
    TargetError,
    UnsupportedModelError,
)


def tiny(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=10, **options).eval()


PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


@pytest.fixture
def session():
    session = vaw.Session(tiny(), PICTURE)
    assert session.wait(60)
    yield session
    session.close()


def test_it_follows_the_predicted_class(session: vaw.Session) -> None:
    trace = vaw.trace(session.model, PICTURE)
    assert session.target == int(trace.logits[0].argmax())
    assert session.top5[0][1] == pytest.approx(float(trace.probabilities.max()), rel=1e-5)
    assert session.status["state"] == "idle"


def test_results_are_those_of_the_functions(session: vaw.Session) -> None:
    trace = vaw.trace(session.model, PICTURE)
    for name, method in vaw.explainers.METHODS.items():
        expected = method(trace).values[0].numpy()
        np.testing.assert_allclose(session.attributions[name], expected, rtol=1e-4, atol=1e-7)
    importance = vaw.head_importance(session.model, PICTURE).values[0].numpy()
    np.testing.assert_allclose(session.importance, importance, atol=1e-5)


def test_pruning_changes_the_decision_and_the_maps(session: vaw.Session) -> None:
    before = session.decision["target_before"]
    session.pruned_heads = {0: [1], 3: [0]}
    assert session.pruned_heads == [(0, 1), (3, 0)]
    assert session.wait(60)
    with vaw.masked_heads(session.model, {0: [1], 3: [0]}), torch.no_grad():
        expected = session.model(vaw.describe(session.model).prepare(PICTURE)).softmax(-1)[0]
    decision = session.decision
    assert decision["target_before"] == before
    assert decision["target_after"] == pytest.approx(float(expected[session.target]), rel=1e-4)
    assert {"daam", "daam.before"} <= set(session.attributions)
    assert np.isnan(session.importance[0, 1])
    session.pruned_heads = []
    assert session.wait(60)
    assert session.decision["target_after"] is None
    assert "daam.before" not in session.attributions


def test_another_class_needs_no_forward_pass(session: vaw.Session, monkeypatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model ran again")

    whole = session.trace
    session.metric = "taylor"
    assert session.wait(60)
    monkeypatch.setattr("vit_attention_widget.session.traces.trace", never)
    session.metric = "taylor"
    session.target = (session.target + 1) % 10
    assert session._context.lanes.quick.wait(60)
    assert session.trace.logits is not None
    assert torch.equal(session.trace.logits, whole.logits)
    assert session.decision["target"] == session.target


def test_quick_changes_end_where_the_last_one_leads(session: vaw.Session) -> None:
    for head in ([(0, 0)], [(1, 1)], [(2, 0), (4, 1)]):
        session.pruned_heads = head
        session.target = len(head) + 2
    assert session.wait(60)
    assert session.trace.head_mask == {2: (0,), 4: (1,)}
    assert session.decision["target"] == session.target == 4
    assert session.trace.target.index == (4,)


def test_selections_before_the_first_trace_count() -> None:
    session = vaw.Session(tiny(), PICTURE)
    session.pruned_heads = [(0, 0)]
    session.target = 7
    assert session.wait(60)
    assert session.trace.head_mask == {0: (0,)}
    assert session.decision["target"] == 7
    session.close()


def test_another_image_and_model(session: vaw.Session) -> None:
    session.pruned_heads = [(0, 0)]
    session.image = PICTURE[:, ::-1].copy()
    assert session.wait(60)
    assert session.pruned_heads == [(0, 0)]
    assert session.decision["target_after"] is not None
    session.model = timm.create_model("test_vit2", num_classes=5).eval()
    assert session.wait(60)
    assert session.pruned_heads == []
    assert session._model_info["prefix"] == ["register 0"]
    assert 0 <= session.target < 5


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("selected_layer", 6, ParameterError),
        ("selected_head", -2, ParameterError),
        ("selected_token", 101, ParameterError),
        ("selected_token", "a", ParameterError),
        ("pruned_heads", [(0, 5)], ParameterError),
        ("pruned_heads", 3, ParameterError),
        ("method", "saliency", ParameterError),
        ("metric", "luck", ParameterError),
        ("colormap", "jet", ParameterError),
        ("opacity", 2, ParameterError),
        ("target", 10, TargetError),
    ],
)
def test_what_does_not_exist_is_refused(session, name, value, error) -> None:
    before = getattr(session, name)
    with pytest.raises(error):
        setattr(session, name, value)
    assert getattr(session, name) == before
    assert session.wait(60)
    assert session.status["state"] == "idle"


def test_obvious_mistakes_raise_at_once() -> None:
    with pytest.raises(ParameterError, match="selected_layer"):
        vaw.Session(tiny(), PICTURE, layer=3)
    with pytest.raises(ImageError):
        vaw.Session(tiny(), "there-is-no-such.jpg")
    with pytest.raises(UnsupportedModelError):
        vaw.Session(torch.nn.Linear(3, 3), PICTURE)


def test_an_error_while_computing_is_told_and_what_was_shown_stays(session: vaw.Session) -> None:
    shown = session._picture
    broken = session.model.head.register_forward_hook(lambda *call: call[2] * torch.nan)
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    assert session.status["state"] == "error"
    assert "not finite" in session.status["error"]["message"]
    assert session._picture == shown
    assert session.decision["target_before"] > 0
    broken.remove()
    session.pruned_heads = []
    assert session.wait(60)
    assert session.status["state"] == "idle"


def test_nothing_keeps_the_model_alive() -> None:
    model = tiny()
    session = vaw.Session(model, PICTURE)
    assert session.wait(60)
    alive = weakref.ref(model)
    session.close()
    del model, session
    for _ in range(50):
        gc.collect()
        if alive() is None:
            break
        time.sleep(0.05)
    assert alive() is None


def test_a_model_without_classes_still_shows_where_it_looks() -> None:
    session = vaw.Session(timm.create_model("test_vit", num_classes=0).eval(), PICTURE)
    assert session.wait(60)
    assert session.status["state"] == "idle"
    assert set(session.attributions) == {"rollout", "attention"}
    assert session.top5 == []
    assert session.method == "rollout"
    session.selected_token = 4
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    assert session.status["state"] == "idle"
    session.close()


def test_another_image_while_the_last_one_is_being_traced_wins() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (900, 1200, 3), dtype=np.uint8) for _ in range(4)]
    session = vaw.Session(tiny(), pictures[0])
    for _ in range(3):
        for picture in pictures:  # the last trace may end while the next picture is decoded
            session.image = picture
        assert session.wait(60)
        expected = vaw.trace(session.model, pictures[-1], gradients=False)
        torch.testing.assert_close(session.trace.logits, expected.logits)
    session.close()


def test_a_model_that_does_not_fit_the_image_set_changes_nothing() -> None:
    images = [(PICTURE, label) for label in (0, 9)]
    session = vaw.Session(tiny(), PICTURE, image_set=images)
    assert session.wait(60)
    model, top5 = session.model, session.top5
    with pytest.raises(vaw.errors.TargetError):
        session.model = timm.create_model("test_vit", num_classes=3)
    assert session.model is model
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    session.pruned_heads = []
    assert session.wait(60)
    assert session.top5 == top5
    session.close()


def test_a_session_that_nobody_holds_is_freed() -> None:
    session = vaw.Session(tiny(), PICTURE)
    assert session.wait(60)
    threads = [lane._thread for lane in session._context.lanes if lane._thread]
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_cancelled_pruning_goes_back_to_what_is_shown() -> None:
    session = vaw.Session(tiny(), PICTURE)
    assert session.wait(60)
    started, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        started.set()
        go_on.wait(10)

    handle = session.model.blocks[-1].register_forward_pre_hook(slow)
    session.pruned_heads = [(3, 0)]
    assert started.wait(10)
    session.cancel()
    go_on.set()
    handle.remove()
    assert session.wait(60)
    assert session.pruned_heads == []
    assert session.trace.head_mask == {}
    session.close()


def test_a_new_picture_explains_its_own_predicted_class() -> None:
    flower, arrow = (vaw.demo.scene(seed=seed) for seed in (7, 13))
    session = vaw.Session(vaw.demo.load_model(), flower.image)
    assert session.wait(60)
    session.image = arrow.image
    assert session.wait(60)
    assert session.target == arrow.label  # it follows the prediction
    assert session.decision["follows_prediction"]
    session.target = arrow.label
    assert session.wait(60)
    assert not session.decision["follows_prediction"]  # it was chosen
    session.image = flower.image
    assert session.wait(60)
    assert session.target == flower.label  # of the new picture nothing was chosen yet
    assert session.decision["follows_prediction"]
    session.target = arrow.label
    session.pruned_heads = [(0, 1)]
    assert session.wait(60)
    assert session.target == arrow.label  # chosen for this picture, with or without heads
    session.target = None
    assert session.wait(60)
    assert session.target == flower.label
    session.close()


def test_a_method_that_refuses_the_model_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from vit_attention_widget.errors import UnsupportedModelError
    from vit_attention_widget.explainers import METHODS

    def refuse(trace: vaw.Trace) -> None:
        raise UnsupportedModelError("This model's tokens cannot be read out.")

    monkeypatch.setitem(METHODS, "legrad", refuse)
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    assert session.wait(60)
    assert set(session.attributions) == set(METHODS) - {"legrad"}
    assert session.status["error"] is None
    told = []
    session.observe(lambda change: told.append(change["new"]["error"]), "status")
    session.method = "legrad"
    session.image = vaw.demo.scene(seed=2).image
    assert session.wait(60)
    assert any(error and "read out" in error["message"] for error in told)
    assert "daam" in session.attributions
    session.close()
