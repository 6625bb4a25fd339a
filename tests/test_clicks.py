"""What a click costs the kernel: it is checked once, and what the browser holds is not computed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.protocol.tensors import metadata_of
from vit_attention_widget.session import attention as attention_payloads
from vit_attention_widget.session import payloads, selections
from vit_attention_widget.session.lanes import Job
from vit_attention_widget.session.studies import maps as maps_study


@pytest.fixture
def explorer() -> Iterator[vaw.Explorer]:
    widget = vaw.Explorer(tiny(), PICTURE)
    assert widget.wait(60)
    yield widget
    widget.close()


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    calls: list[Any] = []
    real = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: (calls.append(args), real(*args))[1])
    return calls


def ask_for_rows(explorer: vaw.Explorer, token: int, direction: str) -> None:
    params = {"token": token, "direction": direction}
    explorer._handle_custom_msg({"id": "a", "method": "rows", "params": params}, [])
    assert explorer.wait(60)


@pytest.mark.parametrize("links", [0, 2])
def test_a_click_is_checked_once(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    others = [vaw.AttentionInspector(session=explorer.session) for _ in range(links)]
    checks = counted(monkeypatch, selections, "_whole")
    sent: list[Any] = []
    monkeypatch.setattr(explorer, "send_state", lambda key=None: sent.append(key))
    explorer.set_state({"selected_token": 7})
    assert len(checks) == 1
    assert [w.selected_token for w in (explorer, explorer.session, *others)] == [7] * (2 + links)
    assert sent == []  # the browser that clicked has it already
    for other in others:
        other.close()


def test_rows_are_computed_where_the_browser_asks_for_them_alone(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = counted(monkeypatch, payloads, "attention_rows")
    for token in (7, 9, 7):
        explorer.set_state({"selected_token": token})
    explorer.set_state({"direction": "attended_by"})
    explorer.session.selected_token = 11
    assert explorer.wait(60)
    assert computed == []
    ask_for_rows(explorer, 11, "attended_by")
    assert len(computed) == 1
    said = {"token": "11", "direction": "attended_by", "first_layer": "0"}
    assert metadata_of(explorer._attention_rows) == said
    assert load(explorer._attention_rows)["rows"].shape == (6, 2, 101)


def test_rows_of_a_large_model_come_in_parts_that_make_the_whole(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = explorer.session.attention
    whole = load(attention.rows(7, "attends_to"))["rows"]
    per_layer = whole[0].size
    monkeypatch.setattr(attention_payloads, "_ROWS_AT_ONCE", 4 * per_layer + 1)
    explorer.selected_layer = 5
    ask_for_rows(explorer, 7, "attends_to")
    assert explorer.wait(60)
    parts = [explorer._attention_rows, attention.rows_with(1, 7, "attends_to")]
    assert [metadata_of(part)["first_layer"] for part in parts] == ["4", "0"]
    assert [len(load(part)["rows"]) for part in parts] == [2, 4]
    joined = np.concatenate([load(part)["rows"] for part in reversed(parts)])
    assert np.array_equal(joined, whole)


@pytest.mark.parametrize(("token", "direction"), [(101, "attends_to"), (1, "sideways"), (None, "")])
def test_rows_that_do_not_exist_are_refused(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch, token: int, direction: str
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(explorer, "send", lambda content, buffers=None: sent.append(content))
    ask_for_rows(explorer, token, direction)
    assert [sorted(reply) for reply in sent] == [["error", "id"]]


def test_all_state_at_once_has_the_rows_of_the_selected_token(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an exported page does, whose browser can ask nobody."""
    explorer.selected_token = 5
    computed = counted(monkeypatch, payloads, "attention_rows")
    state = explorer.get_state()
    assert metadata_of(bytes(state["_attention_rows"]))["token"] == "5"
    explorer.get_state()
    assert len(computed) == 1


def test_the_directions_have_old_names(explorer: vaw.Explorer) -> None:
    with pytest.warns(DeprecationWarning, match="direction='attended_by'"):
        explorer.direction = "looked_at_by"
    assert explorer.session.direction == explorer.direction == "attended_by"


def test_that_the_widget_is_known_is_answered_while_all_is_busy(explorer: vaw.Explorer) -> None:
    replies: list[dict[str, object]] = []
    explorer.send = lambda content, buffers=None: replies.append(content)
    free = threading.Event()
    for lane in explorer.session._context.lanes:
        lane.submit(Job("busy", "busy", lambda _: free.wait(30)))
    explorer._handle_custom_msg({"id": "a", "method": "alive", "params": {}}, [])
    assert [reply["id"] for reply in replies] == ["a"]
    assert replies[0]["ok"]
    free.set()
    assert explorer.wait(60)


def test_maps_of_a_large_model_are_computed_as_methods_are_selected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maps_study, "_MAPS_AT_ONCE", 1000)
    session = vaw.Session(tiny(), PICTURE)
    try:
        assert session.wait(60)
        assert set(session.attributions) == {"daam"}
        session.method = "rollout"
        assert session.wait(60)
        assert set(session.attributions) == {"daam", "rollout"}
        assert set(load(session._maps)) == {"rollout"}
        maps = vaw.explainers.rollout(session.trace).values[0].numpy()
        assert np.array_equal(session.attributions["rollout"], maps)
    finally:
        session.close()
