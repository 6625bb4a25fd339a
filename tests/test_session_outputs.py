"""A session and every widget with a model of each kind of output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
import torch
from conform import problems
from models import BY_NAME, randomise
from torch import nn

import vit_attention_widget as vaw
from vit_attention_widget import widgets
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.protocol.schema.results import Results

IMAGES = BY_NAME["vit"].inputs(4, torch.float32, seed=2)
SETS: dict[str, Any] = {
    "sigmoid": list(zip(IMAGES, torch.eye(5)[[0, 1, 2, 3]], strict=True)),
    "binary": list(zip(IMAGES, [0.0, 1.0, 1.0, 0.0], strict=True)),
    "value": list(zip(IMAGES, [3.5, -1.0, 0.25, 12.0], strict=True)),
    "features": list(IMAGES),
}


def model_of(kind: str) -> Any:
    model: Any = BY_NAME["vit"].create()
    heads = {"sigmoid": nn.Linear(16, 5), "features": nn.Identity()}
    model.head = heads.get(kind, nn.Linear(16, 1))
    randomise(model)
    output: Any = {"binary": "sigmoid"}.get(kind, kind)
    return vaw.describe(model.float().eval(), output=output)


@pytest.fixture(params=list(SETS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def session(kind: str) -> Iterator[vaw.Session]:
    session = vaw.Session(model_of(kind), IMAGES[0], image_set=SETS[kind])
    assert session.wait(60)
    yield session
    session.close()


def check(session: vaw.Session) -> None:
    """Nothing failed, and what was sent is of the schema."""
    assert session.wait(60)
    assert session.status["error"] is None
    for name, of in get_type_hints(Results, include_extras=True).items():
        value = getattr(session, name)
        if value != b"":
            assert problems(value, of, name) == []


def test_everything_that_a_session_computes(session: vaw.Session, kind: str) -> None:
    check(session)
    classes = {"sigmoid": 5, "binary": 2, "value": 1, "features": 0}[kind]
    assert session._model_info["output"] == {"binary": "sigmoid"}.get(kind, kind)
    assert session._model_info["num_classes"] == classes
    session.pruned_heads = [(0, 1)]
    check(session)
    assert session.trace is not None
    said = session.trace.probabilities[0]
    assert sorted((p for _, p in session.top5), reverse=True) == pytest.approx(
        sorted(said.tolist(), reverse=True)[: min(5, classes)]
    )
    if kind == "features":
        assert session.decision == {}
        assert session.method == "rollout"
        return
    rows = session.decision["rows"]
    assert {row["index"]: row["after"] for row in rows} == pytest.approx(
        {row["index"]: float(said[row["index"]]) for row in rows}
    )
    session.draw_curve("taylor")
    session.prune_partly(1, 0)
    session.compare_maps("classes")
    check(session)
    session.compare_maps("images")
    check(session)
    session.score_map()
    session.lay_out_images("taylor")
    check(session)
    assert session.curves["taylor"]["values"]
    assert bool(session.accuracy) == (kind in ("binary", "sigmoid"))
    if kind == "binary":
        decided = vaw.trace(session._context.vit, IMAGES).logits[:, 0] > 0
        right = decided == torch.tensor([False, True, True, False])
        assert session.accuracy["before"] == pytest.approx(float(right.float().mean()))
    if kind == "sigmoid":  # class by class
        decided = vaw.trace(session._context.vit, IMAGES).logits > 0
        right = decided == torch.eye(5)[[0, 1, 2, 3]].bool()
        assert session.accuracy["before"] == pytest.approx(float(right.float().mean()))
        assert session.accuracy["after"] is not None
    if kind == "value":
        assert not session.faithfulness["map"]["by_class"]
        with pytest.raises(ParameterError):
            session.metric = "accuracy"
    for metric in [choice["key"] for choice in session._model_info["metrics"]]:
        session.metric = metric
        check(session)
        assert session.importance is not None


def test_metrics_are_those_of_the_kind(session: vaw.Session, kind: str) -> None:
    metrics = {choice["key"]: choice["label"] for choice in session._model_info["metrics"]}
    expected = {
        "value": ["probability", "class_token_cosine", "taylor"],
        "features": ["class_token_cosine"],
    }
    every = ["probability", "jsd", "class_token_cosine", "loss", "taylor"]
    assert list(metrics) == expected.get(kind, every)
    if kind == "value":
        assert metrics["probability"] == "value"


def test_every_widget_shows_it(session: vaw.Session) -> None:
    for name in widgets.__all__:
        if name in ("SessionWidget", "Step"):
            continue
        widget = getattr(widgets, name)(session=session)
        assert widget._model_info == session._model_info
        assert widget.top5 == session.top5
        widget.close()


def test_a_widget_takes_the_kind_of_output() -> None:
    model = model_of("binary").model
    widget = vaw.HeadImportanceGrid(model, IMAGES[0], output="sigmoid", class_names=["dog"])
    assert widget.wait(60)
    assert {name for name, _ in widget.top5} == {"dog", "not dog"}
    assert sum(p for _, p in widget.top5) == pytest.approx(1)
    widget.session.target = "dog"
    assert widget.wait(60)
    assert widget.decision["target_name"] == "dog"
    widget.close()


def test_another_model_of_a_session_has_its_own_outputs_and_the_names_of_the_set() -> None:
    class Set(list[Any]):
        classes = ("ant", "bee", "cat", "dog", "eel")

    pairs = Set((image, index) for index, image in enumerate(IMAGES))
    session = vaw.Session(model_of("sigmoid").model, IMAGES[0], image_set=pairs)
    assert session.wait(60)
    assert (session._model_info["output"], session._model_info["class_names"]) == (
        "softmax",
        list(Set.classes),
    )
    session.look_at(model=model_of("sigmoid"))
    assert session.wait(60)
    assert session._model_info["output"] == "sigmoid"
    assert session._model_info["class_names"] == list(Set.classes)
    session.close()
