"""Updates are numbered, so that a browser to which some never came can ask for all again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm

import vit_attention_widget as vaw
from vit_attention_widget.session.traits import RESULTS, SELECTIONS


class Sent(list[dict[str, Any]]):
    """What a widget sent, in order."""

    def __call__(self, data: dict[str, Any], **_: object) -> None:
        self.append(data)

    def numbers(self) -> list[int]:
        return [each["state"]["_update"] for each in self if each["method"] == "update"]


@pytest.fixture
def explorer() -> vaw.Explorer:
    model = timm.create_model("test_vit", img_size=32, num_classes=5).eval()
    return vaw.Explorer(model, np.zeros((32, 32, 3), np.uint8))


@pytest.fixture
def sent(explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch) -> Sent:
    explorer.wait()
    sent = Sent()
    monkeypatch.setattr(explorer.comm, "send", sent)
    return sent


def test_each_update_has_the_next_number_whichever_thread_sends(
    explorer: vaw.Explorer, sent: Sent
) -> None:
    before = explorer._update
    explorer.pruned_heads = [(0, 0)]
    explorer.wait()
    explorer.selected_layer = 1
    numbers = sent.numbers()
    assert sorted(numbers) == list(range(before + 1, before + 1 + len(numbers)))
    assert len(numbers) > 5
    assert explorer._update == explorer.get_state()["_update"] == max(numbers)
    explorer.close()


def test_who_asks_learns_the_number_and_gets_what_he_lacks(
    explorer: vaw.Explorer, sent: Sent
) -> None:
    for method in ("alive", "all_traits"):
        explorer._handle_custom_msg({"id": method, "method": method, "params": {}}, [])
    number, alive, everything, answer = sent
    assert set(number["state"]) == {"_version", "_update"}
    assert [alive["content"]["id"], answer["content"]["id"]] == ["alive", "all_traits"]
    assert {*SELECTIONS, *RESULTS, "_update", "panels"} <= set(everything["state"]) | {
        path[0] for path in everything["buffer_paths"]
    }
    assert sent.numbers()[1] == sent.numbers()[0] + 1
    explorer.close()


def test_a_widget_whose_page_is_gone_is_collected_without_a_word(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise AttributeError("the page's own things are no more")

    monkeypatch.setattr(explorer.comm, "close", gone)
    explorer.wait()
    explorer.__del__()
