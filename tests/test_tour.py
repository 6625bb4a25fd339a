"""A tour: its steps are checked against the model, and go to the browser as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import timm
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError


@pytest.fixture
def explorer() -> Iterator[vaw.Explorer]:
    widget = vaw.Explorer(tiny(), PICTURE)
    yield widget
    widget.close()


def test_the_usual_tour_waits_until_it_is_begun(explorer: vaw.Explorer) -> None:
    assert explorer.tour_step == -1
    assert 6 <= len(explorer._tour) <= 8
    explorer.tour()
    assert explorer.tour_step == 0
    opened = vaw.Explorer(session=explorer.session, tour=True)
    assert opened.tour_step == 0
    opened.close()


def test_a_lesson_of_ones_own(explorer: vaw.Explorer) -> None:
    explorer.tour(
        [
            vaw.Step("Look.", select={"target": 1, "pruned_heads": {2: [1, 0]}}),
            vaw.Step("Do {class}.", panel="heads", do="Press p.", waits_for="pruned_heads"),
        ]
    )
    first, second = explorer._tour
    assert first["select"] == {"target": 1, "pruned_heads": [(2, 0), (2, 1)]}
    assert (second["waits_for"], second["panel"]) == (["pruned_heads"], "heads")


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (vaw.Step("a", panel="head"), ParameterError, "panel 'head'"),
        (vaw.Step("a", select={"layer": 1}), ParameterError, "option 'layer'"),
        (vaw.Step("a", waits_for=("metric", "click")), ParameterError, "option 'click'"),
        (vaw.Step("a", select={"target": "cats"}), TargetError, "cats"),
        (vaw.Step("a", select={"pruned_heads": {99: [0]}}), ParameterError, "99"),
        ("a text", ParameterError, "vaw.Step was expected"),
    ],
)
def test_a_step_that_names_what_does_not_exist(
    explorer: vaw.Explorer, step: object, error: type[Exception], says: str
) -> None:
    before = explorer._tour
    with pytest.raises(error, match=says):
        explorer.tour([vaw.Step("fine"), step])  # type: ignore[list-item]
    assert (explorer._tour, explorer.tour_step) == (before, -1)


@pytest.mark.parametrize("value", [7.5, True, None, "0", 99, -2])
def test_a_step_that_there_is_not(explorer: vaw.Explorer, value: object) -> None:
    with pytest.raises(ParameterError, match="steps run from 0"):
        explorer.tour_step = value
    explorer._handle_msg(
        {"content": {"data": {"method": "update", "state": {"tour_step": value}}}, "buffers": []}
    )
    assert explorer.tour_step == -1


def test_the_browser_does_not_write_the_tour(explorer: vaw.Explorer) -> None:
    before = list(explorer._tour)
    explorer.set_state({"_tour": [], "tour_step": 2})
    assert explorer._tour == before
    assert explorer.tour_step == 2


def test_a_model_without_classes_has_a_shorter_one() -> None:
    pooled = {"global_pool": "avg", "class_token": False}
    model = timm.create_model("test_vit", num_classes=0, **pooled).eval()
    explorer = vaw.Explorer(model, PICTURE)
    assert explorer.wait(60)
    texts = " ".join(step["text"] + step["answer"] for step in explorer._tour)
    assert "{class}" not in texts
    assert "class token" not in texts
    assert 2 <= len(explorer._tour) < 6
    explorer.close()
