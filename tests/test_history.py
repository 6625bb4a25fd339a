"""Undo and redo of pruned heads: one history for a session and all its widgets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.protocol.schema.selections import MOST_STEPS


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    made = vaw.Session(tiny(), PICTURE)
    yield made
    made.close()


def test_steps_are_taken_back_and_done_again(session: vaw.Session) -> None:
    assert not session.undo()
    session.pruned_heads = [(0, 1)]
    session.pruned_heads = {0: [1], 2: [0, 1]}
    session.pruned_heads = []
    assert session.undo()
    assert session.pruned_heads == [(0, 1), (2, 0), (2, 1)]
    assert session.undo()
    assert session.pruned_heads == [(0, 1)]
    assert session.redo()
    assert session.pruned_heads == [(0, 1), (2, 0), (2, 1)]
    session.pruned_heads = [(1, 0)]
    assert not session.redo()  # it was of another past
    assert session.undo()
    assert session.undo()
    assert session.undo()
    assert session.pruned_heads == []
    assert not session.undo()
    assert session.wait(60)
    assert session.trace is not None
    assert not session.trace.head_mask


def test_the_same_heads_again_are_no_step(session: vaw.Session) -> None:
    session.pruned_heads = [(0, 1), (0, 0)]
    session.pruned_heads = [(0, 0), (0, 1)]
    assert session.undo()
    assert session.pruned_heads == []
    assert not session.undo()


def test_heads_that_were_given_at_first_are_no_step() -> None:
    session = vaw.Session(tiny(), PICTURE, pruned_heads=[(1, 1)])
    assert not session.undo()
    session.pruned_heads = []
    assert session.undo()
    assert session.pruned_heads == [(1, 1)]
    session.close()


def test_old_steps_are_forgotten(session: vaw.Session) -> None:
    for i in range(MOST_STEPS + 5):
        session.pruned_heads = [] if i % 2 else [(0, 0)]
    steps = 0
    while session.undo():
        steps += 1
    assert steps == MOST_STEPS


def test_another_image_keeps_the_past_and_another_model_does_not(session: vaw.Session) -> None:
    session.pruned_heads = [(0, 1)]
    session.image = vaw.demo.scene(seed=2).image
    assert session.pruned_heads == [(0, 1)]
    assert session.undo()
    session.redo()
    session.model = tiny()
    assert session.pruned_heads == []
    assert not session.undo()
    assert not session.redo()


def test_linked_widgets_undo_as_one(session: vaw.Session) -> None:
    grid, explorer = vaw.HeadImportanceGrid(session=session), vaw.Explorer(session=session)
    step = [[0, 1]]
    grid.set_state({"pruned_heads": step, "_history": {"pruned": step, "undo": [step], "redo": []}})
    assert explorer.pruned_heads == session.pruned_heads == [(0, 1)]
    assert explorer._history == {"pruned": [(0, 1)], "undo": [[(0, 1)]], "redo": []}
    explorer.set_state({"_history": {"pruned": [], "undo": [], "redo": [step]}})
    assert grid.pruned_heads == session.pruned_heads == []
    assert session.redo()
    assert grid.pruned_heads == explorer.pruned_heads == [(0, 1)]
    assert grid._history == explorer._history == session._history
    grid.close()
    explorer.close()


def test_what_was_selected_in_a_browser_is_undone(session: vaw.Session) -> None:
    explorer, grid = vaw.Explorer(session=session), vaw.HeadImportanceGrid(session=session)
    layer, head = session.selected_layer, session.selected_head
    step = {"selected_layer": layer, "selected_head": head}
    chosen = {"selected_layer": 0, "selected_head": 1}
    explorer.set_state(chosen | {"_history": {"pruned": [], "undo": [step], "redo": []}})
    session.pruned_heads = [(0, 1)]
    assert grid._history == {"pruned": [(0, 1)], "undo": [step, [(0, 1)]], "redo": []}
    assert session.undo()
    assert (session.pruned_heads, session.selected_layer, session.selected_head) == ([], 0, 1)
    assert session.undo()
    assert (grid.selected_layer, grid.selected_head) == (layer, head)
    assert grid._history == {"pruned": [], "undo": [], "redo": [[(0, 1)], chosen]}
    assert session.redo()
    assert (explorer.selected_layer, explorer.selected_head) == (0, 1)
    session.selected_layer = 1  # by code: no step
    assert explorer._history["undo"] == [step]
    explorer.close()
    grid.close()


def test_the_predicted_class_is_gone_back_to_as_such(session: vaw.Session) -> None:
    history = {"pruned": [], "undo": [{"target": None}], "redo": []}
    explorer = vaw.Explorer(session=session)
    session.wait(60)
    other = (session.target or 0) + 1
    explorer.set_state({"target": other, "_history": history})
    assert session.undo()
    session.wait(60)
    assert session.decision["follows_prediction"]
    assert session._history["redo"] == [{"target": other}]
    explorer.close()


def test_another_image_forgets_what_was_selected_on_the_last(session: vaw.Session) -> None:
    session._history = {"pruned": [], "undo": [{"selected_token": 3}], "redo": []}
    session.pruned_heads = [(0, 1)]
    session.image = vaw.demo.scene(seed=2).image
    assert session._history == {"pruned": [(0, 1)], "undo": [[(0, 1)]], "redo": []}


def test_what_can_no_longer_be_selected_is_passed_over(session: vaw.Session) -> None:
    token, layer = session.selected_token, session.selected_layer
    step = {"selected_token": 10**6, "selected_layer": 0}
    session._history = {"pruned": [], "undo": [step], "redo": []}
    assert session.undo()
    assert (session.selected_token, session.selected_layer) == (token, 0)
    assert session._history["redo"] == [{"selected_token": token, "selected_layer": layer}]


def test_browsers_are_told_of_no_state_in_between(
    session: vaw.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = vaw.Explorer(session=session)
    seen: list[object] = []
    session.observe(lambda change: seen.append(change["new"]), names=["_history"])
    step = [[0, 1]]
    history = {"pruned": step, "undo": [step], "redo": []}
    explorer.set_state({"pruned_heads": step, "_history": history})  # in this order
    explorer.set_state({"pruned_heads": [], "_history": {"pruned": [], "undo": [], "redo": [step]}})
    assert [(len(h["undo"]), len(h["redo"])) for h in seen] == [(1, 0), (0, 1)]
    explorer.close()


@pytest.mark.parametrize(
    "history",
    [
        None,
        {"pruned": []},
        {"pruned": [[99, 0]], "undo": [], "redo": []},
        {"pruned": [], "undo": [[[0, 99]]], "redo": []},
        {"pruned": [], "undo": 3, "redo": []},
        {"pruned": [], "undo": [{"panels": []}], "redo": []},
    ],
)
def test_what_is_no_history_is_refused(session: vaw.Session, history: object) -> None:
    with pytest.raises(ParameterError):
        session._history = history
    explorer = vaw.Explorer(session=session)
    explorer.set_state({"_history": history})
    assert session._history == {"pruned": [], "undo": [], "redo": []}
    explorer.close()


def test_it_is_no_option() -> None:
    with pytest.raises(ParameterError, match="no option '_history'") as caught:
        vaw.Session(tiny(), PICTURE, _history={})
    assert "pruned_heads" in str(caught.value)
    assert ", _history" not in str(caught.value)
