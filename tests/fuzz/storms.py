"""Storms of clicks by chance: what is shown after each is what a session that never saw it shows.

python -m tests.fuzz.storms --times 100 --seed 1
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import timm
import torch
from safetensors.numpy import load

import vit_attention_widget as vaw
from tests.fuzz.count import Count
from vit_attention_widget.explainers import LONG_METHODS
from vit_attention_widget.protocol.tensors import metadata_of

__all__ = ["attack"]

LAYERS, HEADS, TOKENS, CLASSES = 6, 2, 5, 10
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
LONGEST = 40
"""Actions of one storm."""


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_vit", img_size=32, num_classes=CLASSES).eval()


class Storm:
    """An Explorer, and hands that do not wait for it."""

    def __init__(self, chance: random.Random, vit: torch.nn.Module) -> None:
        self.chance = chance
        self.widget = vaw.Explorer(vit, IMAGES[0], image_set=list(IMAGES[1:]))
        self.widget.send = self._send  # type: ignore[method-assign]
        self.asked: list[str] = []
        self.replies: Counter[Any] = Counter()
        self.own_image = 0
        self.said: list[str] = []

    def _send(self, content: Any, buffers: Any = None) -> None:
        self.replies[content["id"]] += 1

    def ask(self, method: str, **params: Any) -> None:
        name = f"{len(self.asked)}"
        self.asked.append(name)
        self.said.append(f"{method} {params or ''}".strip())
        self.widget._answer(None, {"id": name, "method": method, "params": params}, [])

    def select(self, **values: Any) -> None:
        """As a browser does."""
        self.said.append(str(values))
        self.widget.set_state(values)

    def do(self, act: Callable[[], object]) -> None:
        """As a cell does."""
        self.said.append(getattr(act, "__name__", "?"))
        act()

    def act(self) -> None:
        """One of what a user can do."""
        one, widget, session = self.chance.choice, self.widget, self.widget.session
        head = [self.chance.randrange(LAYERS), self.chance.randrange(HEADS)]
        heads = [h for h in map(list, widget.pruned_heads) if h != head]
        toggled = heads if len(heads) < len(widget.pruned_heads) else [*heads, head]
        kind = self.chance.choices(
            ["look", "drag", "scrub", "prune", "undo", "class", "method", "ask", "cancel", "image",
             "go on", "drop"],
            [3, 2, 2, 4, 2, 2, 2, 4, 1, 1, 1, 1],
        )[0]  # fmt: skip
        if kind == "look":
            self.select(selected_layer=head[0], selected_head=head[1])
        elif kind == "drag":
            for token in self.chance.sample(range(TOKENS), 3):
                self.select(selected_token=token)
                self.ask("rows", token=token, direction=widget.direction)
        elif kind == "scrub":
            for layer in range(LAYERS):
                self.select(selected_layer=layer)
        elif kind == "prune":
            self.select(pruned_heads=sorted(toggled))
        elif kind == "undo":
            self.do(one([session.undo, session.redo]))
        elif kind == "class":
            self.select(target=one([None, *range(CLASSES)]))
        elif kind == "method":
            methods = [m["key"] for m in widget._model_info["methods"]]
            self.select(method=one(methods), metric=one(["probability", "taylor"]))
            self.select(direction=one(["attends_to", "attended_by"]))
        elif kind == "ask":
            method, params = self.question(head)
            self.ask(method, **params)
        elif kind == "cancel":
            self.do(session.cancel)
        elif kind == "go on":
            self.do(session.go_on)
        elif kind == "image" and self.chance.random() < 0.5:
            self.own_image = self.chance.randrange(4)
            self.said.append(f"image {self.own_image}")
            session.image = IMAGES[self.own_image]
        elif kind == "image":
            self.select(selected_image=self.chance.randrange(-1, 3))
        elif self.asked:
            widget._answer(None, {"cancel": one(self.asked)}, [])

    def question(self, head: list[int]) -> tuple[str, dict[str, Any]]:
        """What a view asks for when it is opened or clicked."""
        layer, number = head
        return self.chance.choice(
            [
                ("attention", {"layer": layer}),
                ("partial", {"layer": layer, "head": number}),
                ("curve", {"order": "random"}),
                ("strength", {}),
                ("layer_decisions", {}),
                ("compare", {"of": "methods"}),
                ("overview", {"metric": "taylor"}),
                ("score_map", {}),
                ("image", {"index": number}),
            ]
        )

    def blow(self) -> None:
        """Act, mostly at once, sometimes a moment later."""
        for _ in range(self.chance.randint(5, LONGEST)):
            self.act()
            if self.chance.random() < 0.3:
                time.sleep(self.chance.expovariate(1 / 0.01))

    def settle(self) -> None:
        """Until all is computed, what was cancelled too."""
        session = self.widget.session
        assert session.wait(120), "it computes without end"
        for _ in range(5):
            if not session.status["paused"]:
                break
            session.go_on()
            assert session.wait(120), "it goes on without end"
        assert not session.status["paused"], session.status["paused"]
        error = session.status["error"]
        assert not error or "is pruned already" in error["message"], error


def check(storm: Storm, vit: torch.nn.Module) -> None:
    """What is shown is what a session shows that was given the same selections at once."""
    after = storm.widget.session
    assert {name: storm.replies[name] for name in storm.asked} == dict.fromkeys(storm.asked, 1)
    assert sum(storm.replies.values()) == len(storm.asked)
    follows = after.decision["follows_prediction"]
    fresh = vaw.Session(
        vit, IMAGES[storm.own_image], None if follows else after.target, image_set=list(IMAGES[1:]),
        method=after.method, metric=after.metric, direction=after.direction,
        selected_layer=after.selected_layer, selected_head=after.selected_head,
        selected_token=after.selected_token, selected_image=after.selected_image,
        pruned_heads=after.pruned_heads,
    )  # fmt: skip
    try:
        assert fresh.wait(120), "the fresh one computes without end"
        for name in ("target", "decision", "_picture", "_model_info"):
            _same(getattr(after, name), getattr(fresh, name), name)
        _same(after.importance, fresh.importance, "importance")
        for name, values in fresh.attributions.items():
            if name.split(".")[0] not in LONG_METHODS or name.startswith(after.method):
                _same(after.attributions[name], values, name)
        for layer in range(LAYERS):
            _same(after.attention.layer(layer), fresh.attention.layer(layer), f"layer {layer}")
        for session in (after, fresh):
            session.attention.refresh_rows()
        _same(after._attention_rows, fresh._attention_rows, "rows")
    finally:
        fresh.close()


def _same(value: Any, expected: Any, name: str) -> None:
    """Equal, numbers to float32's rounding."""
    if isinstance(expected, bytes) and name != "_picture":
        value, expected = ({**load(b), "metadata": metadata_of(b)} for b in (value, expected))
    if isinstance(expected, dict):
        assert value.keys() == expected.keys(), name
        for key, part in expected.items():
            _same(value[key], part, f"{name}: {key}")
    elif isinstance(expected, list | tuple):
        assert len(value) == len(expected), name
        for number, part in enumerate(expected):
            _same(value[number], part, f"{name}: {number}")
    elif isinstance(expected, float | np.ndarray):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6, err_msg=name)
    else:
        assert value == expected, f"{name}: {value!r:.200} instead of {expected!r:.200}"


def blow(storm: Storm, vit: torch.nn.Module, logged: list[str]) -> None:
    """One storm, and the calm after it; some widgets are closed in the middle."""
    closes = storm.chance.random() < 0.15
    try:
        storm.blow()
        if not closes:
            storm.settle()
            check(storm, vit)
        storm.widget.close()
        assert max(storm.replies.values(), default=0) <= 1, "a second answer"
        lanes = [thread.name for thread in threading.enumerate() if thread.name.startswith("vaw-")]
        assert not lanes, f"{lanes} are alive after close()"
        assert not logged, logged
    except Exception as wrong:
        raise AssertionError(f"{wrong!r}\nafter {'; '.join(storm.said)}") from wrong
    finally:
        storm.widget.close()
        logged.clear()


class _Logged(logging.Handler):
    """Keeps what the package logs: errors that nobody could be told of."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(self.format(record))


def attack(times: int, seed: int) -> Count:
    """So many storms."""
    chance, count, logged, vit = random.Random(seed), Count(), [], model()
    package, handler = logging.getLogger(vaw.__name__), _Logged(logged)
    package.addHandler(handler)
    try:
        for number in range(times):
            count.add(f"storm {number}", (), blow, Storm(chance, vit), vit, logged)
    finally:
        package.removeHandler(handler)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(attack(asked.times, asked.seed).report(), indent=1))


if __name__ == "__main__":
    main()
