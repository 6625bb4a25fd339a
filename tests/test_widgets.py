"""Widgets without a kernel: traits, messages, links, and what the browser may and may not write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import timm
from safetensors.numpy import load
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError

CLASSES = [
    vaw.AttentionInspector,
    vaw.DAAMScrubber,
    vaw.HeadImportanceGrid,
    vaw.HeadStrengthView,
    vaw.CompareView,
    vaw.Explorer,
]


@pytest.fixture
def explorer() -> Iterator[vaw.Explorer]:
    widget = vaw.Explorer(tiny(), PICTURE)
    assert widget.wait(60)
    yield widget
    widget.close()


@pytest.fixture
def replies(explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(
        explorer, "send", lambda content, buffers=None: sent.append((content, buffers))
    )
    return sent


def ask(explorer: vaw.Explorer, content: Any) -> None:
    explorer._handle_custom_msg(content, [])
    assert explorer.wait(60)


@pytest.mark.parametrize("cls", CLASSES)
def test_each_is_built_from_a_model_and_an_image(cls: type) -> None:
    widget = cls(tiny(), PICTURE, selected_layer=2)
    assert widget.wait(60)
    assert widget.selected_layer == 2
    assert widget._picture.startswith(b"\xff\xd8")
    assert len(widget.top5) == 5
    assert "test_vit" in repr(widget)
    assert widget._esm.strip()
    assert "vaw-root" in widget._css
    widget.close()
    assert "closed" in repr(widget)


def test_widgets_of_a_session_are_linked(explorer: vaw.Explorer) -> None:
    grid = vaw.HeadImportanceGrid(session=explorer.session)
    grid.pruned_heads = [(1, 1)]
    explorer.selected_layer = 1
    assert explorer.wait(60)
    assert explorer.pruned_heads == [(1, 1)]
    assert grid.selected_layer == 1
    assert grid.decision == explorer.decision
    grid.close()
    explorer.selected_layer = 0  # the session outlives a widget that did not make it


def test_selections_can_be_observed(explorer: vaw.Explorer) -> None:
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]), names="selected_token")
    explorer.set_state({"selected_token": 7})
    assert seen == [7]
    assert explorer.session.selected_token == 7
    assert load(explorer._attention_rows)["rows"].shape == (6, 2, 101)


def test_what_the_browser_may_not_write_is_set_back(explorer, monkeypatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(explorer, "send_state", lambda key=None: sent.append(key))
    decision = explorer.decision
    explorer.set_state({"selected_layer": 99, "decision": {}, "method": "rollout"})
    assert explorer.selected_layer == 5
    assert explorer.decision == decision
    assert explorer.method == "rollout"
    assert ["decision", "selected_layer"] in [sorted(keys) for keys in sent if keys]


def test_pruning_by_message_changes_the_top5(explorer: vaw.Explorer) -> None:
    before = explorer.top5
    explorer.set_state({"pruned_heads": [[0, 0], [0, 1]]})
    assert explorer.wait(60)
    assert explorer.top5 != before
    assert explorer.decision["pruned"] == [(0, 0), (0, 1)]


def test_attention_of_a_layer(explorer: vaw.Explorer, replies: list) -> None:
    ask(explorer, {"id": "a", "method": "attention", "params": {"layer": 3}})
    [(content, [buffer])] = replies
    assert content["ok"]
    assert content["meta"]["version"] == explorer._version
    found = load(buffer)
    values = found["attention"] / 255 * found["scale"][..., None]
    expected = vaw.trace(explorer.session.model, PICTURE).attention(3)[0].numpy()
    assert np.abs(values - expected).max() < 1 / 255


@pytest.mark.parametrize(
    "content",
    [
        {"id": "a", "method": "attention", "params": {"layer": 6}},
        {"id": "a", "method": "attention", "params": {}},
        {"id": "a", "method": "compare", "params": {"of": "noses"}},
        {"id": "a", "method": "os.system", "params": {}},
        {"id": "a"},
        "nonsense",
    ],
)
def test_bad_messages_get_exactly_one_answer(explorer, replies: list, content: Any) -> None:
    ask(explorer, content)
    [(answer, _)] = replies
    assert "expected" in answer["error"]["message"] or "known" in answer["error"]["message"]


def test_every_request_is_answered_once(explorer: vaw.Explorer, replies: list) -> None:
    for i in range(20):
        explorer._handle_custom_msg(
            {"id": f"{i}", "method": "attention", "params": {"layer": 0}}, []
        )
        if i % 3 == 0:
            explorer._handle_custom_msg({"cancel": f"{i}"}, [])
    end = time.monotonic() + 20
    while len(replies) < 20 and time.monotonic() < end:
        time.sleep(0.02)
    assert sorted(int(content["id"]) for content, _ in replies) == list(range(20))
    assert all(("ok" in content) != ("cancelled" in content) for content, _ in replies)


def test_mistakes_of_the_constructor() -> None:
    with pytest.raises(ParameterError, match="needs a model and an image"):
        vaw.Explorer()
    with pytest.raises(ParameterError, match="selected_layer"):
        vaw.Explorer(tiny(), PICTURE, layers=3)
    session = vaw.Session(tiny(), PICTURE)
    with pytest.raises(ParameterError, match="session and more"):
        vaw.Explorer(session=session, method="rollout")
    session.close()


@pytest.mark.slow
def test_the_first_view_of_a_vit_b_is_at_most_a_megabyte() -> None:
    explorer = vaw.Explorer(
        timm.create_model("vit_base_patch16_224").eval(), PICTURE, metric="taylor"
    )
    assert explorer.wait(120)
    state = explorer.get_state()
    size = sum(
        len(value) if isinstance(value, bytes) else len(str(value))
        for name, value in state.items()
        if name not in ("_esm", "_css")
    )
    assert size < 1_000_000
    explorer.close()
