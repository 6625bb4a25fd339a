"""What a folder is of, also where its manifest is lost, of a newer release, or no folder's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import vit_attention_widget as vaw
from tests.faults import TINY, images
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.overview.stored.images import StoredImages
from vit_attention_widget.runs import folder
from vit_attention_widget.session.stored_payloads import image_of


@pytest.fixture(autouse=True)
def _chunks_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_CHUNK", 16)


def strength(store: Path, model: Any = None, **more: Any) -> vaw.AttentionStrength:
    return vaw.attention_strength(model or TINY.build(), images(20), store=store, **more)


def of_others() -> Any:
    model = TINY.build()
    with torch.no_grad():
        next(model.parameters()).mul_(1.1)
    return model


@pytest.mark.parametrize("text", [None, b"", b'{"function": "att', b"\xff"])
def test_a_manifest_that_is_lost_is_what_the_files_say(text: bytes | None, tmp_path: Path) -> None:
    before = strength(tmp_path)
    manifest = tmp_path / "manifest.json"
    about = json.loads(manifest.read_text())
    manifest.unlink() if text is None else manifest.write_bytes(text)
    with pytest.raises(ParameterError, match="of another run: its weights is"):
        strength(tmp_path, of_others())
    calls: list[float] = []
    again = strength(tmp_path, progress=lambda fraction, _: calls.append(fraction))
    assert calls == []
    assert torch.equal(again.profile, before.profile)
    assert json.loads(manifest.read_text()) == about


def test_files_that_do_not_say_of_which_run_they_are_need_a_manifest(tmp_path: Path) -> None:
    strength(tmp_path)
    for file in tmp_path.rglob("*.safetensors"):
        _changed(file, lambda header: header.update(_without_run(header)))
    strength(tmp_path)  # as earlier releases wrote them
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ParameterError, match="files do not say of which run they are: give anoth"):
        strength(tmp_path)
    vaw.pruning_curve(TINY.build(), images(2), order="jsd", store=tmp_path / "curve")
    (tmp_path / "curve" / "manifest.json").unlink()
    with pytest.raises(ParameterError, match="files do not say of which run they are"):
        vaw.pruning_curve(of_others(), images(2), order="jsd", store=tmp_path / "curve")


def _changed(file: Path, change: Callable[[dict[str, str]], None]) -> None:
    with safe_open(file, "pt") as opened:
        header = opened.metadata()
        tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
    change(header)
    save_file(tensors, file, header)


def _without_run(header: dict[str, str]) -> dict[str, str]:
    ((name, text),) = [(name, text) for name, text in header.items() if "parts" in name]
    about = json.loads(text)
    del about["run"]
    return {name: json.dumps(about)}


def test_what_a_newer_release_wrote_is_neither_read_nor_written_over(tmp_path: Path) -> None:
    strength(tmp_path)
    chunk, manifest = tmp_path / "chunks/000000.safetensors", tmp_path / "manifest.json"
    _changed(chunk, lambda header: header.update({"vit_attention_widget.format_version": "2"}))
    data = chunk.read_bytes()
    with pytest.raises(ParameterError, match=r"000000.safetensors has format version 2.*upgrade"):
        strength(tmp_path)
    assert chunk.read_bytes() == data
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    says = r"has format 2, but this release reads up to format 1: upgrade"
    with pytest.raises(ParameterError, match=says):
        strength(tmp_path)
    with pytest.raises(ParameterError, match=says):
        StoredImages(tmp_path, vaw.describe(TINY.build()))


def test_an_address_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="s3:/bucket/run is an address, but a store is a fold"):
        strength("s3://bucket/run")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_pictures_whose_names_are_no_text_have_a_card(tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + "/größe ".encode() + b"\xff.png")
    Image.new("RGB", (32, 32)).save(path)
    vit = vaw.describe(TINY.build())
    vaw.attention_strength(vit, [path], store=tmp_path / "store")
    stored = StoredImages(tmp_path / "store", vit)
    assert stored.raw(0) == path
    assert stored.name(0) == "größe ?.png"
    assert image_of(stored, stored.quantities[0], 0)
