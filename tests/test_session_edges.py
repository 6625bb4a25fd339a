"""What a session must not lose, mix up or keep: races, prompts and sets, cancelled work."""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.session import payloads

SCENE = vaw.demo.scene(seed=1)


def other_class(session: vaw.Session) -> int:
    return (session.target + 1) % 10


# --- choices -------------------------------------------------------------------------------------


def test_a_slow_observer_does_not_lose_a_choice(session: vaw.Session) -> None:
    session.observe(lambda change: time.sleep(0.1), "target")
    wanted = other_class(session)
    session.target = wanted
    session.wait()
    assert session.target == wanted
    assert session.trace.target.index == (wanted,)


def test_a_choice_while_a_trace_is_shown_is_kept(
    session: vaw.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = payloads.attention_rows
    monkeypatch.setattr(payloads, "attention_rows", lambda *a: (time.sleep(0.2), rows(*a))[1])
    first, second = other_class(session), (session.target + 2) % 10
    session.target = first
    time.sleep(0.1)
    session.target = second
    session.wait()
    assert session.trace.target.index == (second,)
    assert session.target == second


def test_quiet_is_of_one_thread(session: vaw.Session) -> None:
    import threading

    inside, leave = threading.Event(), threading.Event()

    def quiet() -> None:
        with session._context.quietly():
            inside.set()
            leave.wait(5)

    worker = threading.Thread(target=quiet)
    with session._context.quietly():
        worker.start()
        inside.wait(5)
    leave.set()
    worker.join()
    session.pruned_heads = [(0, 0)]
    session.wait()
    assert session.trace.head_mask


def test_cancel_goes_back_to_what_is_shown(session: vaw.Session) -> None:
    before = session.decision
    session.explain(lambda logits: (time.sleep(0.5), logits[:, 0])[1])
    session.cancel()
    session.wait()
    session.pruned_heads = [(0, 0)]
    session.wait()
    assert session.decision["target_name"] == before["target_name"]


def test_a_metric_that_is_not_there_is_empty(session: vaw.Session) -> None:
    session.explain(lambda logits: logits[:, 0])
    session.wait()
    session.metric = "probability"  # no error, and nothing to show
    assert session._model_info["by_class"] is False


def test_cancelled_scores_leave_the_rest(session: vaw.Session) -> None:
    session.pruned_heads = [(0, 0)]
    session.score_map()
    session.cancel_scores()
    session.wait()
    assert session.pruned_heads == [(0, 0)]
    assert session.trace.head_mask
    assert torch.isfinite(torch.from_numpy(session.importance)).any()


def test_an_old_trace_is_not_kept(session: vaw.Session) -> None:
    session.compare_maps("classes")
    session.wait()
    session.score_compared()
    session.wait()
    old = weakref.ref(session.trace.layers[-1].out)
    session.image = vaw.demo.scene(seed=2).image
    session.wait()
    session.pruned_heads = [(0, 0)]
    session.wait()
    gc.collect()
    assert old() is None
    session.compare_maps("methods")
    session.wait()
    session.pruned_heads = []
    session.wait()
    with pytest.raises(ParameterError, match="compare again"):
        session.score_compared()


# --- sets ----------------------------------------------------------------------------------------


def test_models_are_compared_on_the_same_image_of_a_set() -> None:
    model = vaw.demo.load_model()
    scenes = [vaw.demo.scene(seed=seed) for seed in range(3)]
    given = [{"image": scene.image, "label": scene.label} for scene in scenes]
    session = vaw.Session(
        model, SCENE.image, image_set=given, selected_image=1, models={"again": model}
    )
    session.wait()
    session.compare_maps("models")
    session.wait()
    assert session.status["error"] is None
    assert session.compared.rank_correlation[0, 1] == pytest.approx(1)
    session.close()


def test_batches_of_a_set_are_no_images_to_compare_models_on() -> None:
    model = vaw.demo.load_model()
    inputs = vaw.describe(model).prepare([vaw.demo.scene(seed=seed).image for seed in range(4)])
    session = vaw.Session(
        model,
        SCENE.image,
        image_set=[(inputs[:2], [0, 1]), (inputs[2:], [0, 1])],
        selected_image=1,
        models={"again": model},
    )
    session.wait()
    session.compare_maps("models")
    session.wait()
    assert "list of images" in session.status["error"]["message"]
    session.close()


def test_a_shuffling_loader_is_read_once_for_all_models() -> None:
    model = vaw.demo.load_model()
    scenes = [vaw.demo.scene(seed=seed) for seed in range(8)]
    inputs = vaw.describe(model).prepare([scene.image for scene in scenes])
    loader = DataLoader(list(zip(inputs, range(8), strict=True)), shuffle=True, batch_size=2)
    comparison = vaw.compare({"a": model, "b": model}, loader, 0, methods="rollout")
    by_model: dict[str, list[Any]] = {"a": [], "b": []}
    for values, item in zip(comparison.values, comparison.items, strict=True):
        by_model[item.model].append((item.image, values.tolist()))
    assert by_model["a"] == by_model["b"]


def test_a_model_may_be_named_like_the_one_that_is_shown() -> None:
    model = vaw.demo.load_model()
    name = vaw.describe(model).name
    pruned = vaw.prune_heads(model, {0: [0, 1, 2]})
    session = vaw.Session(model, SCENE.image, models={name: pruned})
    session.wait()
    session.compare_maps("models")
    session.wait()
    assert session._comparison["names"] == [f"{name}, shown", name]
    assert len(session.compared) == 2
    session.close()


# --- prompts -------------------------------------------------------------------------------------


def test_labels_of_a_set_follow_the_prompts(clip: nn.Module) -> None:
    prompts = ["a heart", "a star", "a moon"]
    scenes = [vaw.demo.scene(seed=seed).image for seed in (2, 3)]
    session = vaw.Session(
        vaw.zero_shot(clip, prompts),
        SCENE.image,
        image_set=[(scenes[0], "a moon"), (scenes[1], "a star")],
    )
    session.wait()
    session.show_images()
    session.wait()
    assert session._overview
    session.set_prompts(["a moon", "a heart", "a star"])
    session.wait()
    assert session._overview == {}  # it was about other classes
    assert [label for _, label in session._context.image_set.entries] == [0, 2]
    session.set_prompts(["a moon", "a heart"])  # one label is gone
    session.wait()
    assert [label for _, label in session._context.image_set.entries] == [None, None]
    assert session.status["error"] is None
    session.close()


def test_features_that_were_given_are_kept(clip: nn.Module) -> None:
    features = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    known = vaw.zero_shot(clip, ["a heart", "a star"], features=features)
    session = vaw.Session(known, SCENE.image)
    session.wait()
    before = session.trace.logits[0]
    session.set_prompts(["a moon", "a star", "a heart"])
    session.wait()
    torch.testing.assert_close(session.trace.logits[0, [2, 1]], before, rtol=1e-4, atol=1e-4)
    session.close()


def test_prompts_are_read_though_another_image_is_chosen(clip: nn.Module) -> None:
    scenes = [vaw.demo.scene(seed=seed).image for seed in (2, 3)]
    session = vaw.Session(vaw.zero_shot(clip, ["a heart"]), SCENE.image, image_set=scenes)
    session.wait()
    session.set_prompts(["a star", "a moon"])
    session.selected_image = 0
    session.wait()
    assert session.prompts == ["a star", "a moon"]
    assert session.selected_image == 0
    direct = vaw.trace(vaw.zero_shot(clip, ["a star", "a moon"]), scenes[0])
    torch.testing.assert_close(session.trace.logits, direct.logits, rtol=1e-4, atol=1e-4)
    session.close()


def test_a_tower_without_prompts_stays_as_it_is(clip: nn.Module) -> None:
    session = vaw.Session(clip, SCENE.image)
    session.wait()
    session.set_prompts([])
    session.wait()
    assert session.method == "rollout"
    assert "rollout" in session.attributions
    session.close()


def test_the_reason_stays_when_the_model_could_not_look() -> None:
    model = vaw.demo.load_model()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.fill_(torch.nan)
    session = vaw.Session(model, SCENE.image, metric="taylor")
    session.wait()
    reason = session.status["error"]
    assert "not finite" in reason["message"]
    session.measure_strength()
    session.selected_token = 3
    session.compare_maps("methods")
    session.wait()
    assert session.status["error"] == reason
    answers: list[Any] = []
    session.ask(
        "a", lambda: session.attention.layer(0), answers.append, answers.append, lambda: None
    )
    session.wait()
    assert "not finite" in str(answers[0])
    session.model = vaw.demo.load_model()
    session.wait()
    assert session.status["error"] is None
    session.close()
