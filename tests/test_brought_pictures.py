"""Pictures that are brought along in the browser: parts, limits, orientation, the way back."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load

import vit_attention_widget as vaw
from vit_attention_widget.errors import ImageError, ProtocolError
from vit_attention_widget.session import brought


@pytest.fixture
def widget() -> Iterator[vaw.AttentionInspector]:
    widget = vaw.AttentionInspector(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    widget.sent = []  # type: ignore[attr-defined]
    widget.send = lambda content, buffers=None: widget.sent.append(content)  # type: ignore
    assert widget.wait(60)
    yield widget
    widget.close()


def file_of(image: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(stream, "PNG", **options)
    return stream.getvalue()


def ask(widget: Any, method: str, params: dict[str, Any], buffer: bytes | None = None) -> Any:
    """What the widget replies."""
    message = {"id": f"{method} {len(widget.sent)}", "method": method, "params": params}
    widget._answer(widget, message, [] if buffer is None else [memoryview(buffer)])
    assert widget.wait(60)
    return widget.sent[-1]


def bring(
    widget: Any, data: bytes, name: str = "cat.png", parts: int = 3, upload: str = "a"
) -> Any:
    """The reply to the last part."""
    size = -(-len(data) // parts)
    reply = None
    for part in range(parts):
        params = {"upload": upload, "name": name, "part": part, "parts": parts}
        reply = ask(widget, "bring_picture", params, data[part * size : (part + 1) * size])
    return reply


def test_it_is_looked_at_as_the_model_was_trained(widget: Any) -> None:
    scene = vaw.demo.scene(seed=2).image
    first = widget.top5
    linked = vaw.HeadImportanceGrid(session=widget.session)
    assert bring(widget, file_of(scene))["ok"]
    trace = vaw.trace(vaw.demo.load_model(), scene)
    torch.testing.assert_close(widget.session.trace.logits, trace.logits)
    assert widget._model_info["image_name"] == "cat.png"
    assert widget.top5 != first
    assert linked._picture == widget._picture
    assert widget._brought == {"names": ["image", "cat.png"], "shown": 1}
    assert load(widget._brought_thumbnails)["thumbnails"].shape == (2, 48, 48, 3)
    assert widget.selected_image == -1
    linked.close()


def test_one_gets_back_to_what_was_given(widget: Any) -> None:
    picture = widget._picture
    bring(widget, file_of(vaw.demo.scene(seed=2).image))
    second = widget._picture
    assert ask(widget, "brought_picture", {"index": 0})["ok"]
    assert widget._picture == picture
    assert widget._brought["shown"] == 0
    assert ask(widget, "brought_picture", {"index": 1})["ok"]
    assert widget._picture == second
    assert widget._brought == {"names": ["image", "cat.png"], "shown": 1}
    assert (
        "There is no picture 2" in ask(widget, "brought_picture", {"index": 2})["error"]["message"]
    )


def test_set_from_python_it_joins_too_and_images_of_the_set_do_not() -> None:
    scenes = [vaw.demo.scene(seed=seed).image for seed in range(3)]
    session = vaw.Session(vaw.demo.load_model(), scenes[0], image_set=scenes)
    session.image = scenes[2]
    assert session._brought == {"names": ["image", "image"], "shown": 1}
    session.selected_image = 1
    assert session._brought["shown"] == -1
    session.selected_image = -1
    assert session._brought == {"names": ["image", "image"], "shown": 1}
    session.model = vaw.demo.load_model()
    assert session._brought == {"names": ["image", "image"], "shown": 1}
    session.close()


def test_a_photograph_is_turned_upright(widget: Any) -> None:
    pixels = np.zeros((80, 80, 3), np.uint8)
    pixels[:40] = 255  # the upper half is bright
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert bring(widget, file_of(Image.fromarray(pixels), exif=exif))["ok"]
    seen = np.asarray(Image.open(io.BytesIO(widget._picture)).convert("L"))
    assert seen[:20].mean() < 20
    assert seen[-20:].mean() > 235


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<svg onload=alert(1)>", "not a picture"),
        (file_of(np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8))[:200], "decoded"),
    ],
)
def test_what_is_no_picture_is_refused_and_all_stays(widget: Any, data: bytes, words: str) -> None:
    before = widget._picture
    reply = bring(widget, data, parts=1)
    assert words in reply["error"]["message"]
    assert widget._picture == before
    assert widget._brought["names"] == ["image"]
    assert widget.status["error"] is None


def test_a_decompression_bomb_is_refused(widget: Any) -> None:
    file = file_of(Image.new("L", (1, 1)))
    header = file[12:16] + (60_000).to_bytes(4, "big") * 2 + file[24:29]
    bomb = file[:12] + header + zlib.crc32(header).to_bytes(4, "big") + file[33:]
    assert "pixels" in bring(widget, bomb, parts=1)["error"]["message"]


def test_limits_hold_in_the_kernel(widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"upload": "a", "name": "x", "part": 0, "parts": 1}
    too_large = ask(widget, "bring_picture", params, bytes(8_000_001))
    assert "too large" in too_large["error"]["message"]
    assert "empty" in ask(widget, "bring_picture", params)["error"]["message"]
    assert (
        "parts" in ask(widget, "bring_picture", {**params, "parts": 65}, b"a")["error"]["message"]
    )
    assert "name" in ask(widget, "bring_picture", {**params, "name": 3}, b"a")["error"]["message"]
    monkeypatch.setattr(brought, "MOST_BYTES", 100)
    reply = bring(widget, bytes(150), parts=2)
    assert "too large" in reply["error"]["message"]


def test_parts_come_in_their_order(widget: Any) -> None:
    pictures = widget.session.brought
    with pytest.raises(ProtocolError, match="out of turn"):
        pictures.receive("a", "x", 1, 2, b"a")
    assert pictures.receive("a", "x", 0, 3, b"a") is None
    with pytest.raises(ProtocolError, match="out of turn"):
        pictures.receive("b", "x", 1, 3, b"a")
    with pytest.raises(ProtocolError, match="out of turn"):
        pictures.receive("a", "x", 2, 3, b"a")
    with pytest.raises(ImageError):
        pictures.receive("b", "x", 0, 1, b"not a picture")


def test_only_so_many_are_kept(widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brought, "_KEPT", 3)
    for seed in range(4):
        bring(widget, file_of(vaw.demo.scene(seed=seed).image), f"{seed}.png")
    assert widget._brought == {"names": ["1.png", "2.png", "3.png"], "shown": 2}


def test_a_name_is_text_and_short(widget: Any) -> None:
    bring(widget, file_of(vaw.demo.scene(seed=2).image), "<b>" + "x" * 500 + "\ud800")
    (_, name) = widget._brought["names"]
    assert name.startswith("<b>x")
    assert len(name) <= 200
