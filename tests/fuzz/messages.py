"""Malformed messages, and selections that are none: each request is answered exactly once.

python -m tests.fuzz.messages --times 10000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import reprlib
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import timm
import torch

import vit_attention_widget as vaw
from tests.fuzz.count import Count
from vit_attention_widget.errors import VitAttentionError
from vit_attention_widget.models.head_index import head_pairs
from vit_attention_widget.protocol.schema.results import Results
from vit_attention_widget.protocol.schema.selections import Selections
from vit_attention_widget.session.traits import RESULTS, SELECTIONS
from vit_attention_widget.widgets.answers import _ANSWERS

sys.path.insert(0, str(Path(__file__).parent.parent))  # whence pytest takes `conform` too
from conform import problems

__all__ = ["attack"]

LIMIT = 20 << 20
"""No answer is larger, in bytes."""

INTERNAL = ["trace", "rows", "prompts", "maps", "importance", "strength", "images", "compare"]
"""Slots of the kernel's own work, which the browser must not be able to name."""

HEAVY = ("learn_patterns", "place_heads")
"""Seconds each."""


def anything(chance: random.Random, depth: int = 0) -> Any:
    """What JSON can hold, and what some parsers let through."""
    kinds = ["none", "bool", "int", "huge", "float", "text", "odd text", "list", "dict", "number"]
    kind = chance.choice(kinds[:7] if depth > 2 else kinds)
    if kind == "list":
        return [anything(chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 3, 50]))]
    if kind == "dict":
        names = [
            "id",
            "method",
            "params",
            "layer",
            "cancel",
            "0",
            "",
            "pruned",
            "__proto__",
            "\ud800",
        ]
        return {
            chance.choice(names): anything(chance, depth + 1) for _ in range(chance.randint(0, 4))
        }
    if kind == "text":
        return chance.choice(["", "0", "trace", "attention", "tench", "class 3", "daam", "taylor"])
    if kind == "odd text":
        return chance.choice(
            [
                "\ud800",
                "\0",
                "x" * 50_000,
                "<script>alert(1)</script>",
                "é\u202e",
                "../../etc/passwd",
                "{layer}",
                "%s%n",
            ]
        )
    if kind == "huge":
        return chance.choice([2**31, 2**53 + 1, -(2**63), 10**400, -(10**30)])
    if kind == "float":
        return chance.choice([math.nan, math.inf, -math.inf, 1e308, -0.0, 0.5, 1.0, 1e-320])
    return {"none": None, "bool": chance.random() < 0.5}.get(kind, chance.randint(-3, 12))


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def parameters(chance: random.Random) -> dict[str, Any]:
    sound: dict[str, Any] = {
        "layer": chance.randint(0, 5),
        "head": chance.randint(0, 1),
        "index": chance.randint(0, 2),
        "order": chance.choice(["random", "taylor", "greedy"]),
        "of": chance.choice(["methods", "layers"]),
        "metric": "taylor",
        "family": chance.choice(["class", "patch"]),
        "prompts": ["a cat", "a dog"],
        "classes": [1, 2],
        "method": "daam",
    }
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        name = chance.choice(list(sound))
        if chance.random() < 0.3:
            sound.pop(name)
            sound["layer"] = sound.get("layer", anything(chance))
        else:
            sound[name] = anything(chance)
    return sound


def message(chance: random.Random, number: int) -> Any:
    """A message of the browser: sound, nearly sound, or nonsense."""
    draw = chance.random()
    light = [name for name in _ANSWERS if name not in HEAVY]
    if draw < 0.1:
        return anything(chance)
    if draw < 0.12:
        return nested(chance.choice([10, 5_000]))
    if draw < 0.25:
        return {
            "cancel": chance.choice([anything(chance), chance.choice(INTERNAL), f"id {number - 1}"])
        }
    content = {"id": f"id {number}", "method": chance.choice(light), "params": parameters(chance)}
    if draw < 0.3:
        content["id"] = chance.choice([*INTERNAL, f"id {number}"])
    elif draw < 0.45:
        content[chance.choice(list(content))] = anything(chance)
    elif draw < 0.5:
        content[chance.choice(["cancel", "more", "buffers"])] = anything(chance)
    return content


class Strange:
    """Something that nobody would select."""

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError("not to be compared")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<strange>"

    def __index__(self) -> int:
        raise KeyError("no number")


def selection(chance: random.Random, name: str, *, python: bool) -> Any:
    """A value for a selection, mostly a wrong one."""
    sound: dict[str, Any] = {
        "target": chance.choice([None, 3, "class 1"]),
        "selected_layer": chance.randint(0, 5),
        "selected_head": chance.randint(-1, 1),
        "selected_token": chance.randint(0, 99),
        "selected_image": chance.randint(-1, 2),
        "direction": "attended_by",
        "method": "legrad",
        "pruned_heads": chance.choice([[], [[0, 1]], [[1, 0], [2, 1]]]),
        "metric": "taylor",
        "_history": {"pruned": [[0, 1]], "undo": [[[0, 1]]], "redo": []},
        "opacity": 0.3,
        "colormap": "magma",
        "interpolation": "nearest",
        "scale": "layer",
        "overlay": "plain",
        "panels": ["picture"],
    }
    if chance.random() < 0.3:
        return sound[name]
    if chance.random() < 0.3:
        return chance.choice(
            [
                None,
                {"pruned": 3, "undo": [], "redo": []},
                {"layer": [0]},
                {0: 1},
                {"pruned": [[0, 0]], "undo": [[9]], "redo": []},
                [[0, 99]],
                [[0]],
                [0, 1],
                [[[0, 0]]],
                [None],
                ["picture", "picture"],
                [["picture"]],
                nested(60),
            ]
        )
    if python and chance.random() < 0.5:
        return chance.choice(
            [
                np.nan,
                np.int64(1),
                np.zeros((2, 2)),
                np.array([[0, 1]]),
                torch.ones(2),
                torch.tensor(1),
                Strange(),
                [Strange()],
                {Strange: 1},
                object(),
                len,
                int,
                b"daam",
                {1, 2},
                range(10**9),
                iter([(0, 1)]),
                1j,
                ...,
                "\ud800",
                np.float32(0.5),
                np.array("daam"),
                [(np.int64(0), torch.tensor(1))],
            ]
        )
    return anything(chance)


class Attacked:
    """An Explorer whose messages are counted instead of sent."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        model = timm.create_model("test_vit", img_size=32, num_classes=10).eval()
        images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
        self.widget = vaw.Explorer(model, images[0], image_set=list(images), metric="taylor")
        self.widget.send = self._send  # type: ignore[method-assign]
        self.replies: Counter[Any] = Counter()
        self.sent: list[str] = []
        assert self.widget.wait(60)

    def _send(self, content: Any, buffers: Any = None) -> None:
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")
        size = sum(map(len, buffers or []))
        if size > LIMIT or len(str(content)) > 2000:
            self.sent.append(f"{size} bytes beside {len(str(content))} letters")
        self.replies[content["id"]] += 1

    def ask(self, content: Any) -> None:
        """Send a message, and see that it gets the answer that is due to it."""
        self.replies.clear()
        self.sent.clear()
        self.widget._answer(None, content, [])
        assert self.widget.wait(60), "it computes without end"
        for thread in threading.enumerate():
            if thread.name == "export":  # a page waits for the session, in a thread of its own
                thread.join(60)
        is_cancel = isinstance(content, dict) and isinstance(content.get("cancel"), str)
        total = sum(self.replies.values())
        assert total == (0 if is_cancel else 1), f"{total} answers"
        name = content.get("id") if isinstance(content, dict) else None
        if not is_cancel and isinstance(name, str) and len(name) < 100 and name.isprintable():
            assert self.replies[name] == 1, f"the answer is to {list(self.replies)}"
        assert not self.sent, self.sent

    def select(self, name: str, value: Any, *, python: bool) -> None:
        """Set a selection, from Python or from the browser."""
        if python:
            setattr(self.widget, name, value)
        else:
            self.widget.set_state({name: value})

    def check(self) -> None:
        """Everything fits: what is selected, what is shown, what the schema says."""
        widget, session = self.widget, self.widget.session
        assert widget.wait(60), "it computes without end"
        for table, names in ((Selections, SELECTIONS), (Results, RESULTS)):
            hints = get_type_hints(table, include_extras=True)
            for name in names:
                faults = problems(getattr(session, name), hints[name], name)
                assert not faults, faults
                assert getattr(widget, name) == getattr(session, name), name
        shown = session.trace
        assert shown is not None
        assert head_pairs(shown.head_mask) == [*session.pruned_heads] == session._history["pruned"]
        assert shown.target.index == (session.target,)
        json.dumps(session.status, allow_nan=False)

    def close(self) -> None:
        self.widget.close()


def attack(times: int, seed: int) -> Count:
    """Attack an Explorer ``times`` times."""
    chance, count, attacked = random.Random(seed), Count(), Attacked()
    logging.disable(logging.CRITICAL)  # what is refused in nobody's name is logged
    try:
        for number in range(times):
            if chance.random() < 0.5:
                content = message(chance, number)
                name = f"message {number}: {_brief(content)}"
                count.add(name, (), _ask, attacked, content)
                continue
            python, trait = chance.random() < 0.5, chance.choice([*SELECTIONS, "panels"])
            value = selection(chance, trait, python=python)
            name = f"{trait} {number} from {'Python' if python else 'browser'}: {_brief(value)}"
            count.add(name, VitAttentionError, _select, attacked, trait, value, python)
    finally:
        logging.disable(logging.NOTSET)
        attacked.close()
    return count


def _ask(attacked: Attacked, content: Any) -> None:
    attacked.ask(content)
    attacked.check()


def _select(attacked: Attacked, name: str, value: Any, python: bool) -> None:
    try:
        attacked.select(name, value, python=python)
    finally:
        attacked.check()


def _brief(value: object) -> str:
    try:
        return reprlib.repr(value)
    except Exception:
        return type(value).__name__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(attack(asked.times, asked.seed).report(), indent=1))


if __name__ == "__main__":
    main()
