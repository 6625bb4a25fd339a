"""Scores of the maps that a session shows, and prompts that are typed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.errors import ParameterError, TargetError

SCENE = vaw.demo.scene(seed=1)


def areas(trace: vaw.Trace, result: vaw.explainers.Attribution, layer: int) -> list[float]:
    scores = evaluation.scores_of(trace, result, layer=layer)
    return [float(scores.insertion.area[0]), float(scores.deletion.area[0])]


def test_the_map_that_is_shown_is_scored(session: vaw.Session) -> None:
    session.method, session.selected_layer = "gmar", 3
    session.score_map()
    assert session.faithfulness["asked"] == "map"
    session.wait()
    scores = session.faithfulness["map"]
    assert session.faithfulness["asked"] == ""
    assert (scores["method"], scores["layer"], scores["version"]) == ("gmar", 3, session._version)
    trace = session.trace
    assert trace is not None
    expected = {
        "map": areas(trace, vaw.explainers.gmar(trace), 3),
        "center": areas(trace, evaluation.center(trace), 0),
        "random": areas(trace, evaluation.random(trace), 0),
    }
    assert set(scores["areas"]) == set(expected)
    for name, pair in expected.items():
        assert scores["areas"][name] == pytest.approx(pair, abs=1e-3)
        assert len(scores["insertion"][name]) == len(scores["fractions"]) == 11


def test_pruned_heads_stay_pruned_while_a_map_is_scored(session: vaw.Session) -> None:
    session.pruned_heads = [(0, 0), (3, 1)]
    session.score_map()
    session.wait()
    trace = session.trace
    assert trace is not None
    assert trace.head_mask
    expected = areas(trace, vaw.explainers.daam(trace), session.selected_layer)
    assert session.faithfulness["map"]["areas"]["map"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("of", ["methods", "layers", "classes"])
def test_every_compared_map_is_scored(session: vaw.Session, of: str) -> None:
    session.compare_maps(of)
    session.wait()
    session.score_compared()
    session.wait()
    scores, trace = session.faithfulness["compared"], session.trace
    assert trace is not None
    assert scores["stamp"] == session._comparison["stamp"]
    assert len(scores["areas"]) == len(session._comparison["names"])
    key = session._comparison["keys"][1]
    aimed = trace.retarget(key) if of == "classes" else trace
    method = vaw.explainers.METHODS[key if of == "methods" else "daam"]
    layer = 1 if of == "layers" else trace.num_layers - 1
    assert scores["areas"][1]["map"] == pytest.approx(areas(aimed, method(aimed), layer), abs=1e-3)
    center = areas(aimed, evaluation.center(aimed), 0)
    assert scores["areas"][1]["center"] == pytest.approx(center, abs=1e-3)
    assert ("random" in scores["areas"][1]) == (of != "classes")


def test_compared_images_are_scored_each_for_its_own_class() -> None:
    scenes = [vaw.demo.scene(seed=seed) for seed in (2, 3)]
    session = vaw.Session(
        vaw.demo.load_model(),
        SCENE.image,
        image_set=[(scene.image, scene.label) for scene in scenes],
    )
    session.wait()
    session.compare_maps("images")
    session.wait()
    session.score_compared()
    session.wait()
    trace = vaw.trace(session.model, scenes[1].image, scenes[1].label)
    expected = areas(trace, vaw.explainers.daam(trace), trace.num_layers - 1)
    scores = session.faithfulness["compared"]["areas"]
    assert scores[1]["map"] == pytest.approx(expected, abs=1e-3)
    session.image = scenes[0].image  # of the set: they stay
    session.wait()
    assert session.faithfulness["compared"]["areas"] == scores
    session.close()


def test_scores_go_with_the_image(session: vaw.Session) -> None:
    session.score_map()
    session.wait()
    session.image = vaw.demo.scene(seed=5).image
    assert "map" not in session.faithfulness


def test_scoring_can_be_cancelled(session: vaw.Session) -> None:
    session.compare_maps("methods")
    session.wait()
    session.score_compared()
    session.cancel()
    session.wait()
    assert session.faithfulness["asked"] == ""
    assert session.status["state"] == "idle"


def test_nothing_to_score(session: vaw.Session) -> None:
    with pytest.raises(ParameterError, match="compare_maps"):
        session.score_compared()


# --- prompts -------------------------------------------------------------------------------------


@pytest.fixture
def tower(clip: nn.Module) -> Iterator[vaw.Session]:
    made = vaw.Session(clip, SCENE.image)
    made.wait()
    yield made
    made.close()


def test_prompts_are_typed_and_taken_away(tower: vaw.Session, clip: nn.Module) -> None:
    assert tower._model_info["takes_prompts"]
    assert tower.prompts == []
    assert tower.method == "rollout"
    assert tower.decision == {}
    tower.set_prompts(["a heart", " a star ", "a star", ""])
    tower.wait()
    assert tower.prompts == tower._model_info["class_names"] == ["a heart", "a star"]
    assert tower.method == "daam"
    assert "daam" in tower.attributions
    direct = vaw.trace(vaw.zero_shot(clip, tower.prompts), SCENE.image)
    p = {row["name"]: row["before"] for row in tower.decision["rows"]}
    expected = dict(zip(tower.prompts, direct.probabilities[0].tolist(), strict=True))
    assert p == pytest.approx(expected, abs=1e-5)

    tower.target = "a heart"
    tower.pruned_heads = [(0, 1)]
    tower.wait()
    tower.set_prompts(["a moon", "a star", "a heart"])
    tower.wait()
    assert tower.target == 2
    assert tower.pruned_heads == [(0, 1)]
    assert tower.decision["target_name"] == "a heart"

    tower.image = vaw.demo.scene(seed=2).image  # another image keeps them
    tower.wait()
    assert tower.prompts == ["a moon", "a star", "a heart"]

    tower.set_prompts(["a moon"])
    tower.wait()
    assert tower.target == 0

    tower.set_prompts([])
    tower.wait()
    assert tower.prompts == []
    assert tower.decision == {}
    assert tower.target is None
    assert tower.method == "rollout"
    assert "rollout" in tower.attributions
    assert tower.status["error"] is None


def test_prompts_side_by_side(tower: vaw.Session) -> None:
    tower.set_prompts(["a heart", "a star", "a moon"])
    tower.wait()
    tower.compare_maps("classes")
    tower.wait()
    assert sorted(tower._comparison["names"]) == ["a heart", "a moon", "a star"]
    tower.set_prompts(["a heart", "a star"])
    tower.wait()
    assert "names" not in tower._comparison  # they were of other prompts


def test_a_model_that_takes_no_prompts(session: vaw.Session) -> None:
    assert session._model_info["takes_prompts"] is False
    with pytest.raises(TargetError, match="takes no prompts"):
        session.set_prompts(["a heart"])
    assert session.prompts == []


# --- other targets -------------------------------------------------------------------------------


def test_a_difference_of_classes_is_explained(session: vaw.Session) -> None:
    whole = session.trace
    assert whole is not None
    target = vaw.targets.difference("star", "heart")
    session.explain(target)
    session.wait()
    direct = vaw.trace(session.model, SCENE.image, target)
    torch.testing.assert_close(
        torch.from_numpy(session.attributions["daam"]), vaw.explainers.daam(direct).values[0]
    )
    decision = session.decision
    assert decision["target"] == -1
    assert decision["target_name"] == direct.target.name
    assert decision["target_before"] == pytest.approx(direct.score.item(), abs=1e-4)
    assert len(decision["rows"]) == 5
    assert session.target is None
    metrics = [choice["key"] for choice in session._model_info["metrics"]]
    assert metrics == ["jsd", "class_token_cosine", "taylor"]
    assert session.metric == "jsd"
    taylor = vaw.head_importance(direct, metric="taylor").values[0]
    session.metric = "taylor"
    torch.testing.assert_close(torch.from_numpy(session.importance), taylor, rtol=1e-3, atol=1e-5)

    session.pruned_heads = [(1, 2)]  # and what becomes of it
    session.wait()
    masked = vaw.trace(session.model, SCENE.image, target, head_mask={1: [2]})
    assert session.decision["target_after"] == pytest.approx(
        float(masked.score.detach()[0]), abs=1e-4
    )
    session.score_map()
    session.wait()
    assert session.faithfulness["map"]["by_class"] is False

    session.image = vaw.demo.scene(seed=4).image
    session.wait()
    assert session.decision["target_name"] == direct.target.name
    session.target = None  # the predicted class again
    session.wait()
    assert session.target == int(session.trace.logits.argmax())
    assert session.decision["target"] == session.target
    assert "probability" in [choice["key"] for choice in session._model_info["metrics"]]


def test_a_class_is_chosen_after_another_target(session: vaw.Session) -> None:
    session.explain(lambda logits: logits[:, :2].sum(1))
    session.wait()
    assert session.decision["target"] == -1
    session.target = "star"
    session.wait()
    assert session.decision["target_name"] == "star"


def test_a_target_that_cannot_be_explained(session: vaw.Session) -> None:
    before = session.decision
    session.explain(vaw.targets.difference("star", "unicorn"))
    session.wait()
    assert "unicorn" in session.status["error"]["message"]
    assert session.decision == before
    assert session._model_info["metrics"][0]["key"] == "probability"


def test_a_tower_is_explained_by_likeness() -> None:
    tower = vaw.demo.load_model()
    tower.reset_classifier(0)
    target = vaw.targets.similarity(vaw.demo.scene(seed=3).image)
    session = vaw.Session(tower, SCENE.image, target)
    session.wait()
    assert session.status["error"] is None
    assert session.method == "daam"
    assert session.decision["rows"] == []
    direct = vaw.trace(tower, SCENE.image, target)
    assert session.decision["target_before"] == pytest.approx(
        float(direct.score.detach()[0]), abs=1e-4
    )
    torch.testing.assert_close(
        torch.from_numpy(session.attributions["daam"]), vaw.explainers.daam(direct).values[0]
    )
    assert torch.isfinite(torch.from_numpy(session.importance)).all()
    session.close()


def test_heads_of_a_tower_matter_for_its_tokens() -> None:
    tower = vaw.demo.load_model()
    tower.reset_classifier(0)
    session = vaw.Session(tower, SCENE.image)
    session.wait()
    assert [choice["key"] for choice in session._model_info["metrics"]] == ["class_token_cosine"]
    expected = vaw.head_importance(tower, SCENE.image, metric="class_token_cosine").values[0]
    torch.testing.assert_close(torch.from_numpy(session.importance), expected)
    session.close()
