"""Widgets without a kernel: traits, messages, links, and what the browser may and may not write."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import numpy as np
import pytest
import timm
from safetensors.numpy import load
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, VitAttentionError
from vit_attention_widget.session import attention
from vit_attention_widget.widgets import answers, base, in_panel

ROOT = Path(__file__).parent.parent

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


@pytest.mark.parametrize("cls", [*CLASSES, vaw.AttentionPatternMap])
def test_each_takes_a_layout(explorer: vaw.Explorer, cls: type) -> None:
    by_words = cls(session=explorer.session, layout={"width": "444px"})
    assert (by_words.layout.width, by_words.layout.height) == ("444px", None)
    layout = ipywidgets.Layout(height="300px")
    widget = cls(session=explorer.session, layout=layout)
    assert widget.layout is layout
    widget.close()
    assert layout.comm is not None  # it is the user's, who may want it again
    words = by_words.layout
    by_words.close()
    assert words.comm is None


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


def test_what_the_browser_sent_is_not_sent_back(explorer, monkeypatch) -> None:
    """On a slow connection it would undo what a person did since."""
    sent: list[str] = []
    monkeypatch.setattr(
        explorer.comm, "send", lambda data, **_: sent.extend(data["state"] if _new(data) else ())
    )
    linked = vaw.HeadImportanceGrid(session=explorer.session)
    pruned = [[1, 1], [2, 0]]
    history = {"pruned": pruned[1:], "undo": [[[2, 0]], {"selected_layer": 5}], "redo": [[[1, 1]]]}
    changes: list[dict[str, Any]] = [
        {"pruned_heads": pruned, "_history": {**history, "pruned": pruned, "redo": []}},
        {"_history": history, "pruned_heads": pruned[1:], "selected_layer": 3},
        {"selected_token": 7, "selected_head": 1, "direction": "attended_by", "opacity": 0.25},
        {"target": 2, "method": "rollout", "metric": "jsd", "colormap": "magma"},
    ]
    for state in changes:
        explorer._handle_msg({"content": {"data": {"method": "update", "state": state}}})
    assert not {*sent} & {name for state in changes for name in state}
    assert linked.pruned_heads == explorer.pruned_heads == [(2, 0)]
    assert linked.selected_token == 7


def test_an_observer_may_set_back_what_the_browser_chose(explorer: vaw.Explorer) -> None:
    session = explorer.session
    explorer.observe(lambda _: session.set_trait("selected_layer", 2), names="selected_layer")
    explorer.set_state({"selected_layer": 4})
    assert explorer.selected_layer == session.selected_layer == 2


def _new(data: dict[str, Any]) -> bool:
    return data["method"] == "update"


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
    loaded = load(buffer)
    values = loaded["attention"] / 255 * loaded["scale"][..., None]
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


@pytest.mark.parametrize("slot", ["trace", "rows", "prompts"])
def test_ids_of_the_browser_do_not_name_work_of_the_kernel(
    explorer: vaw.Explorer, replies: list, slot: str
) -> None:
    explorer.session.pruned_heads = [(0, 0)]
    explorer._handle_custom_msg({"cancel": slot}, [])
    explorer._handle_custom_msg({"id": slot, "method": "attention", "params": {"layer": 0}}, [])
    assert explorer.wait(60)
    assert explorer.session.trace.head_mask == {0: (0,)}
    assert [content["id"] for content, _ in replies] == [slot]
    assert replies[0][0]["ok"]


def test_widgets_of_a_session_may_use_the_same_ids(explorer: vaw.Explorer, replies: list) -> None:
    grid = vaw.HeadImportanceGrid(session=explorer.session)
    content = {"id": "1", "method": "attention", "params": {"layer": 0}}
    for _ in range(5):
        explorer._handle_custom_msg(content, [])
        grid._handle_custom_msg(content, [])
        assert explorer.wait(60)
    grid.close()
    assert [("ok" in reply) for reply, _ in replies] == [True] * 5


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), RuntimeError("\ud800")])
def test_what_fails_in_a_way_that_nobody_thought_of_is_answered_once(
    explorer: vaw.Explorer,
    replies: list,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[Any] = []  # half a surrogate pair cannot go from one process of tests to another
    monkeypatch.setattr(base.log, "exception", lambda *args: logged.append(args))

    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setitem(answers._ANSWERS, "attention", broken)
    ask(explorer, {"id": "a", "method": "attention", "params": {"layer": 0}})
    [(reply, _)] = replies
    assert reply["id"] == "a"
    json.dumps(reply, ensure_ascii=False).encode()
    assert reply["error"]["message"]
    assert len(logged) == 1


def test_prompts_for_a_model_without_text_are_answered(explorer, replies: list) -> None:
    ask(explorer, {"id": "a", "method": "prompts", "params": {"prompts": ["a cat"]}})
    [(reply, _)] = replies
    assert reply["id"] == "a"
    assert "takes no prompts" in reply["error"]["message"]


@pytest.mark.parametrize("name", ["\ud800", "x" * 10_000, "\0", 3, None, ["a"]])
def test_an_id_that_cannot_be_sent_back(explorer, replies: list, name: Any) -> None:
    ask(explorer, {"id": name, "method": "attention", "params": {"layer": 0}})
    [(reply, _)] = replies
    assert reply["id"] is None
    assert "an id of at most 200" in reply["error"]["message"]


def test_a_matrix_too_large_to_send_is_refused(explorer, replies: list, monkeypatch) -> None:
    monkeypatch.setattr(attention, "MOST_STREAMED_TOKENS", 100)
    ask(explorer, {"id": "a", "method": "attention", "params": {"layer": 0}})
    [(reply, buffers)] = replies
    assert not buffers
    assert "101 tokens is not sent whole" in reply["error"]["message"]


def test_browser_and_kernel_agree_on_what_is_too_large() -> None:
    source = (ROOT / "js/src/state/attention.ts").read_text("utf-8")
    assert f"STREAMED_TOKENS = {attention.MOST_STREAMED_TOKENS};" in source


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("selected_layer", None, "There is no layer None: .* 0 to 5"),
        ("selected_token", float("nan"), "There is no token nan: they run from 0 to 100"),
        ("selected_head", np.zeros((2, 2)), "There is no head"),
        ("method", {"daam": 1}, "method is .*: choose one of daam"),
        ("metric", np.zeros(2), "metric is .*choose one of probability"),
        ("pruned_heads", {"pruned": []}, "There is no layer 'pruned'"),
        ("pruned_heads", None, "The heads are None: give a dict"),
        ("_history", {"pruned": 3}, "_history is .*steps to undo"),
        ("target", np.zeros(3), "is not a class: give an index from 0 to 9"),
        ("opacity", "x" * 10_000, "opacity is .*a number from 0 to 1"),
        ("panels", [["picture"]], "There is no panel"),
        ("panels", None, "panels is None: a list"),
    ],
)
def test_wrong_selections_are_refused_with_what_would_be_right(
    explorer: vaw.Explorer, name: str, value: Any, words: str
) -> None:
    before = getattr(explorer, name)
    with pytest.raises(VitAttentionError, match=words) as caught:
        setattr(explorer, name, value)
    assert len(str(caught.value)) < 500
    explorer.set_state({name: value})
    assert getattr(explorer, name) == before


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
    """A narrow one: what is sent has no width."""
    model = timm.create_model("vit_base_patch16_224", embed_dim=96).eval()
    explorer = vaw.Explorer(model, PICTURE, metric="taylor")
    assert explorer.wait(120)
    state = explorer.get_state()
    size = sum(
        len(value) if isinstance(value, bytes) else len(str(value))
        for name, value in state.items()
        if name not in ("_esm", "_css")
    )
    assert size < 1_000_000
    explorer.close()


def test_panel_is_given_one_class_for_all_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panel keeps every class of panes for good."""

    class IPyWidget:
        def __init__(self, widget: object, **options: object) -> None:
            self.options = options

    panel = SimpleNamespace(pane=SimpleNamespace(IPyWidget=IPyWidget))
    monkeypatch.setitem(sys.modules, "panel", panel)
    in_panel._panes.cache_clear()
    one, other = (in_panel.pane_of(widget) for widget in (object(), object()))
    in_panel._panes.cache_clear()
    assert isinstance(one, IPyWidget)
    assert type(one) is type(other)
    assert one.options == {"sizing_mode": "stretch_width"}
