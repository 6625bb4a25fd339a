"""Pages of their own: what is in them, how large they are, and what is said of that."""

from __future__ import annotations

import base64
import gzip
import json
import math
import os
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError
from vit_attention_widget.export import complete
from vit_attention_widget.export.answers import key_of
from vit_attention_widget.export.parts import part
from vit_attention_widget.export.picture import picture_of
from vit_attention_widget.protocol.tensors import quantize
from vit_attention_widget.widgets import base


def opened(text: str) -> Any:
    """A part as the browser reads it."""
    plain = gzip.decompress(base64.b64decode(text))
    (length,) = struct.unpack_from("<I", plain)
    start = 4 + length

    def value(result: dict[str, Any]) -> Any:
        if "$bytes" not in result:
            return result
        low, high = result["$bytes"]
        return plain[start + low : start + high]

    return json.loads(plain[4:start], object_hook=value)


def parts_of(path: Path) -> dict[int, Any]:
    held = re.findall(r'data-vaw-part="(\d+)">([^<]*)<', path.read_text())
    return {int(number): opened(text) for number, text in held}


@pytest.fixture(scope="module")
def explorer() -> Iterator[vaw.Explorer]:
    model = vaw.demo.load_model().double()
    explorer = vaw.Explorer(model, vaw.demo.scene(seed=1).image)
    explorer.wait()
    yield explorer
    explorer.close()


def test_a_part_holds_bytes_once_and_no_number_that_json_lacks() -> None:
    value = {"a": [b"xyz", b"", b"xyz"], "b": math.nan, "c": {"</script>": (1, 2.5, None, True)}}
    text = part(value)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert opened(text) == {
        "a": [b"xyz", b"", b"xyz"], "b": None, "c": {"</script>": [1, 2.5, None, True]},
    }  # fmt: skip
    assert gzip.decompress(base64.b64decode(text)).count(b"xyz") == 1


def test_requests_are_known_as_the_browser_knows_them() -> None:
    assert key_of("rows", {"token": 3, "direction": "attends_to"}) == (
        'rows direction="attends_to" token=3'
    )
    assert key_of("compare", {"of": "methods", "classes": []}) == 'compare classes=[] of="methods"'


def test_attention_in_bytes_differs_by_a_510th_of_its_row_at_most(explorer: vaw.Explorer) -> None:
    trace = explorer.session.trace
    assert trace is not None
    rows = torch.cat([trace.attention(layer)[0].flatten(0, 1) for layer in range(6)]).numpy()
    stored, scale = quantize(rows.astype(np.float32))
    error = np.abs(stored / 255.0 * scale[:, None] - rows)
    assert (error <= rows.max(-1, keepdims=True) / 510 * (1 + 1e-5)).all()
    assert error.max() > 0


def test_the_decision_without_each_head_is_that_of_the_masked_model(
    explorer: vaw.Explorer, tmp_path: Path
) -> None:
    page = explorer.to_html(tmp_path / "page.html")
    (known,) = parts_of(page.path)[0]["sessions"]
    session = explorer.session
    explained = known["explained"][str(session.target)]
    assert len(explained["without"]) == 24
    for layer, head in [(0, 0), (2, 3), (5, 1)]:
        masked = vaw.trace(
            session.described, session.image, session.target, head_mask=[(layer, head)]
        )
        said = explained["without"][f"{layer},{head}"]
        probabilities = masked.probabilities[0]
        best = probabilities.topk(5)
        rows = {row["index"]: row["after"] for row in said["rows"]}
        assert said["target_after"] == pytest.approx(float(probabilities[session.target]), abs=1e-9)
        for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            assert rows[index] == pytest.approx(value, abs=1e-9)
        assert said["rows"][0]["index"] == int(best.indices[0])


def test_a_page_is_no_larger_than_it_may_be_and_what_is_dropped_is_said(
    explorer: vaw.Explorer, tmp_path: Path
) -> None:
    whole = explorer.to_html(tmp_path / "whole.html")
    assert whole.size == (tmp_path / "whole.html").stat().st_size
    assert whole.dropped == ()
    assert any(
        key.startswith("attention") for key in parts_of(whole.path)[0]["sessions"][0]["answers"]
    )
    most = whole.megabytes - 0.01
    with pytest.warns(UserWarning, match="no room within max_megabytes.*attention matrices"):
        less = explorer.to_html(tmp_path / "less.html", max_megabytes=most)
    assert less.megabytes <= most
    assert less.dropped == ("attention matrices",)
    assert "attention matrices" in repr(less)
    without = explorer.to_html(tmp_path / "without.html", attention=False)
    assert without.dropped == ()
    assert without.size < 0.3e6
    with pytest.raises(ParameterError, match=r"takes 0\.\d+ MB.*give it at least"):
        explorer.to_html(tmp_path / "none.html", max_megabytes=0.01)
    assert not (tmp_path / "none.html").exists()


def test_widgets_of_one_session_share_it_and_others_do_not(
    explorer: vaw.Explorer, tmp_path: Path
) -> None:
    grid = vaw.HeadImportanceGrid(session=explorer.session)
    other = vaw.AttentionInspector(vaw.demo.load_model(), vaw.demo.scene(seed=2).image)
    page = vaw.to_html([explorer, grid, other], tmp_path / "page.html", title="<b>three</b>")
    known = parts_of(page.path)[0]
    assert [(w["stem"], w["session"]) for w in known["widgets"]] == [
        ("explorer", 0), ("head_grid", 0), ("attention_inspector", 1),
    ]  # fmt: skip
    assert known["widgets"][0]["own"]["panels"] == explorer.panels
    assert known["widgets"][1]["own"] == {}
    assert "<title>&lt;b&gt;three&lt;/b&gt;</title>" in page.path.read_text()
    assert grid.to_html(tmp_path / "grid.html").dropped == ()
    grid.close()
    other.close()


def test_what_cannot_be_exported_is_refused(explorer: vaw.Explorer, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no widget to export"):
        vaw.to_html([], tmp_path / "page.html")
    with pytest.raises(ParameterError, match="'page' is no widget"):
        vaw.to_html(["page"], tmp_path / "page.html")  # type: ignore[list-item]
    for most in (0, math.nan):
        with pytest.raises(ParameterError, match=r"max_megabytes is .*: it must be above 0"):
            explorer.to_html(tmp_path / "page.html", max_megabytes=most)
    with pytest.raises(ParameterError, match="theme is 'blue': choose from auto, light, dark"):
        explorer.to_html(tmp_path / "page.html", theme="blue")  # type: ignore[arg-type]
    with pytest.raises(TargetError):
        explorer.to_html(tmp_path / "page.html", classes=["no such class"])
    with pytest.raises(ParameterError, match="cannot be written"):
        explorer.to_html(tmp_path / "no such folder" / "page.html")


def test_one_class_or_an_iterator_is_meant_for_every_session(tmp_path: Path) -> None:
    model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1).image
    grids = [vaw.HeadImportanceGrid(model, scene) for _ in range(2)]
    star = vaw.demo.KINDS.index("star")
    for classes in ("star", star, iter(["star"])):
        page = vaw.to_html(grids, tmp_path / "page.html", classes=classes)
        for known in parts_of(page.path)[0]["sessions"]:
            assert str(star) in known["explained"]
    for grid in grids:
        grid.close()


def test_names_of_files_may_be_in_no_code(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    try:
        Image.fromarray(vaw.demo.scene(seed=1).image).save(name)
    except OSError:
        pytest.skip("names of files are Unicode here")
    grid = vaw.HeadImportanceGrid(vaw.demo.load_model(), name)
    page = grid.to_html(tmp_path / "page.html")
    assert "on caf?.png</title>" in page.path.read_text("utf-8")
    drawn = grid.to_html(tmp_path / "titled.html", title=name)
    assert "caf?.png</title>" in drawn.path.read_text("utf-8")
    assert len(picture_of(grid.session, grid.stem)) > 1000
    grid.close()


def test_what_is_no_class_is_known_as_the_browser_writes_it(tmp_path: Path) -> None:
    model = vaw.demo.load_model()
    model.reset_classifier(0)
    widget = vaw.HeadImportanceGrid(vaw.describe(model), vaw.demo.scene(seed=1).image)
    page = widget.to_html(tmp_path / "page.html")
    (known,) = parts_of(page.path)[0]["sessions"]
    assert list(known["explained"]) == ["null"]
    assert known["values"]["target"] is None
    assert known["explained"]["null"]["without"] == {}
    widget.close()


def test_pruned_heads_stay_so_in_the_page(tmp_path: Path) -> None:
    scene = vaw.demo.scene(seed=1).image
    widget = vaw.HeadImportanceGrid(vaw.demo.load_model(), scene, pruned_heads=[(3, 1)])
    page = widget.to_html(tmp_path / "page.html")
    (known,) = parts_of(page.path)[0]["sessions"]
    assert known["values"]["pruned_heads"] == [[3, 1]]
    assert known["values"]["_history"] == {"pruned": [[3, 1]], "undo": [], "redo": []}
    assert known["values"]["decision"]["target_after"] is not None
    assert [each["without"] for each in known["explained"].values()] == [{}]
    widget.close()


def test_a_click_that_comes_meanwhile_does_not_mix_two_decisions(
    explorer: vaw.Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, clicks = explorer.session, [[(0, 0)], []]
    taken = complete.values_of

    def clicked(*given: Any) -> Any:
        held = taken(*given)
        if clicks:
            session.pruned_heads = clicks.pop(0)
        return held

    monkeypatch.setattr(complete, "values_of", clicked)
    (known,) = parts_of(explorer.to_html(tmp_path / "page.html").path)[0]["sessions"]
    assert clicks == []
    assert known["values"]["pruned_heads"] == known["values"]["decision"]["pruned"] == []
    clicks += [[(0, i % 4)] for i in range(5)]
    with pytest.raises(ParameterError, match="keeps changing"):
        explorer.to_html(tmp_path / "page.html")
    session.pruned_heads = []
    session.wait()


class Asked:
    """A browser that asks a widget for its page; the page's job waits until it is let go on."""

    def __init__(self, explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
        self._explorer = explorer
        self.go_on, self.begun = threading.Event(), threading.Semaphore(0)
        self.replies: list[tuple[str, Any]] = []
        build = base.page_bytes

        def page_bytes(*args: Any, **kwargs: Any) -> Any:
            self.begun.release()
            self.go_on.wait(30)
            return build(*args, **kwargs)

        monkeypatch.setattr(base, "page_bytes", page_bytes)
        monkeypatch.setattr(explorer, "send", self._take)

    def _take(self, content: Any, buffers: Any = None) -> None:
        said = next(key for key in ("ok", "error", "cancelled") if key in content)
        self.replies.append((f"{content['id']} {said}", buffers))

    def __call__(self, name: str, method: str = "page") -> None:
        self._explorer._handle_custom_msg({"id": name, "method": method, "params": {}}, [])

    def answered(self) -> list[str]:
        assert self._explorer.wait(60)
        return [said for said, _ in self.replies]


def test_pages_are_written_one_at_a_time_and_the_last_that_was_asked_for(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Asked(explorer, monkeypatch)
    threads = threading.active_count()
    ask("first")
    assert ask.begun.acquire(timeout=30)
    assert explorer.status["label"] == "saving the page"
    assert explorer.status["state"] == "computing"
    ask("second")
    ask("third")
    ask.go_on.set()
    assert sorted(ask.answered()) == ["first cancelled", "second cancelled", "third ok"]
    _, [page] = ask.replies[-1]
    assert page.startswith(b"<!doctype html>")
    assert explorer.status["state"] == "idle"
    assert threading.active_count() <= threads + 1


def test_a_page_is_cancelled_as_all_that_takes_long(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Asked(explorer, monkeypatch)
    ask("page")
    assert ask.begun.acquire(timeout=30)
    ask("stop", "cancel_job")
    ask.go_on.set()
    assert sorted(ask.answered()) == ["page cancelled", "stop ok"]
    assert explorer.status["state"] == "idle"


def test_a_page_waits_for_what_is_being_computed(
    explorer: vaw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Asked(explorer, monkeypatch)
    ask.go_on.set()
    explorer.pruned_heads = [(3, 1)]
    ask("page")
    assert ask.answered() == ["page ok"]
    text = bytes(ask.replies[0][1][0]).decode()
    [first, *_] = re.findall(r'data-vaw-part="0">([^<]*)<', text)
    assert opened(first)["sessions"][0]["values"]["decision"]["pruned"] == [[3, 1]]
    explorer.pruned_heads = []
    explorer.wait()
