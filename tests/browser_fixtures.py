"""What a real session sends, for vitest: ``python tests/browser_fixtures.py`` writes it anew.

A test fails once it is no longer what the schema says; that a session sends that, another shows.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors.numpy import load

sys.path.insert(0, str(Path(__file__).parents[1]))

import vit_attention_widget as vaw
from tests.stored_images import Filling
from vit_attention_widget.protocol.tensors import encode
from vit_attention_widget.session.stored_payloads import Box
from vit_attention_widget.session.traits import RESULTS, SELECTIONS

OUTPUT = Path(__file__).parents[1] / "js" / "test" / "fixtures" / "session.ts"

_HEAD = """\
// Written by `python tests/browser_fixtures.py`: what a session of the bundled model sends.

import type { Requests, Results, Selections } from "../../src/protocol/schema";

const view = (text: string) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new DataView(bytes.buffer);
};
"""
_BYTES = re.compile(r'view\("([^"]*)"\)')
_MAPS = ("daam", "rollout", "daam.before", "rollout.before")
"""The maps that are written: a few will do."""


def asked_for_everything() -> vaw.Session:
    """A session that has found all that a widget can show; the caller closes it."""
    scenes = [vaw.demo.scene(seed=seed) for seed in range(3)]
    session = vaw.Session(
        vaw.demo.load_model(),
        vaw.demo.scene(seed=1).image,
        image_set=[(scene.image, scene.label) for scene in scenes],
        pruned_heads=[(0, 1)],
        selected_token=42,
        selected_layer=2,
        selected_head=1,
    )
    session.wait()
    for ask in (
        lambda: session.prune_partly(2, 1),
        lambda: session.draw_curve("taylor"),
        session.measure_interactions,
        session.measure_strength,
        session.measure_strength_of_set,
        session.read_out_layers,
        session.measure_importance_before,
        lambda: session.lay_out_images("taylor"),
        session.compare_maps,
        session.score_map,
        session.score_compared,
        session.learn_patterns,
    ):
        ask()
        session.wait()
    return session


def sent() -> tuple[dict[str, Any], dict[str, Any]]:
    """All traits of a session in which everything was asked for, and replies to requests."""
    session = asked_for_everything()
    traits = {name: getattr(session, name) for name in (*SELECTIONS, *RESULTS)}
    maps = load(traits["_maps"])
    traits["_maps"] = encode({name: maps[name] for name in _MAPS})
    patterns = session.studies.patterns
    replies = {
        "attention": session.attention.layer(2),
        "image": session.studies.images.picture(0),
        "pattern_map": patterns.points("class"),
        "pattern_thumbnails": patterns.thumbnails("class"),
        "pattern_at": patterns.point("class", 0),
    }
    session.close()
    of_store, stored_replies = _of_a_store()
    return traits | of_store, replies | stored_replies


def _of_a_store() -> tuple[dict[str, Any], dict[str, Any]]:
    """What a session says of a folder of 300 images."""
    vit = vaw.describe(vaw.demo.load_model())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        Filling(folder, vit, 300).fill(300)
        session = vaw.Session(vit, vaw.demo.scene(seed=1).image, image_set=folder)
        session.look_at_store()
        session.wait()
        session.studies.stored_images.show("taylor", 3)
        session.wait()
        traits = {name: getattr(session, name) for name in RESULTS if name.startswith("_stored")}
        traits["_stored"] = {**traits["_stored"], "folder": "store", "last": 0}
        stored = session.studies.stored_images
        replies = {
            "stored_image": stored.image(7),
            "stored_points": stored.points(Box(-1, 1, -1, 1)),
            "stored_pictures": stored.pictures([7]),
        }
        session.close()
    return traits, replies


def text(traits: dict[str, Any], replies: dict[str, Any]) -> str:
    """The fixture as TypeScript, whose compiler then checks the values too."""
    answered = " | ".join(f'"{name}"' for name in replies)
    return f"""{_HEAD}
export const TRAITS: Selections & Results = {_literal(traits)};

/** The buffers that answer requests. */
export const REPLIES: {{ [M in {answered}]: Requests[M]["buffer"] }} = {_literal(replies)};
"""


def written() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the file holds."""
    lines = OUTPUT.read_text("utf-8").splitlines()
    tables = [line.partition(" = ")[2] for line in lines if line.startswith("export const ")]
    traits, replies = (
        _with_bytes(json.loads(_BYTES.sub(r'{"bytes": "\1"}', table.rstrip(";"))))
        for table in tables
    )
    return traits, replies


def _literal(value: Any) -> str:
    plain = json.dumps(value, default=lambda data: {"bytes": base64.b64encode(data).decode()})
    return re.sub(r'\{"bytes": "([^"]*)"\}', r'view("\1")', plain)


def _with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"bytes"}:
            return base64.b64decode(value["bytes"])
        return {name: _with_bytes(item) for name, item in value.items()}
    return [_with_bytes(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(text(*sent()), "utf-8")
