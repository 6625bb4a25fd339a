"""Pictures of a store that lie elsewhere by now are found, and no others are shown."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import vit_attention_widget as vaw
from tests.faults import TINY
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.overview.stored.images import StoredImages
from vit_attention_widget.overview.stored.places import other_places

VIT = vaw.describe(TINY.build(), class_names=["ant", "bee", "cat", "dog", "eel"])
SAME_NAME = ("val/ant/a.png", "val/bee/a.png", "val/bee/b.png")


def written(folder: Path, names: tuple[str, ...] = SAME_NAME) -> list[Path]:
    """Pictures of which each has a color of its own."""
    paths = [folder / name for name in names]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (60 * number, 9, 9)).save(path)
    return paths


def stored(folder: Path, images: Any) -> StoredImages:
    vaw.attention_strength(VIT, images, store=folder)
    return StoredImages(folder, VIT)


def test_pictures_that_moved_with_their_store_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    stored(Path("run/store"), [Path(name) for name in SAME_NAME])  # relative to this folder
    monkeypatch.chdir(tmp_path)
    opened = StoredImages("old/run/store", VIT)
    assert opened.raw(1) == str(tmp_path / "old" / SAME_NAME[1])
    (tmp_path / "old").rename(tmp_path / "new")
    opened = StoredImages("new/run/store", VIT)
    assert [opened.raw(n) for n in range(3)] == [str(tmp_path / "new" / n) for n in SAME_NAME]
    vaw.attention_strength(  # the run goes on there, too
        VIT, [tmp_path / "new" / name for name in SAME_NAME], store="new/run/store"
    )


@pytest.mark.parametrize("label", [None, 1, "bee"])
def test_where_they_moved_to_can_be_said(label: Any, tmp_path: Path) -> None:
    paths = written(tmp_path / "old")
    pairs: Any = paths if label is None else [(path, label) for path in paths]
    opened = stored(tmp_path / "store", pairs)
    (tmp_path / "old" / "val").rename(tmp_path / "elsewhere")
    with pytest.raises(ParameterError, match=r"Image 1 .*a.png is gone.*vaw.images_moved\('/"):
        opened.raw(1)
    vaw.images_moved(tmp_path / "store", tmp_path / "elsewhere")
    assert opened.raw(0) == str(tmp_path / "elsewhere/ant/a.png")
    assert opened.raw(1) == str(tmp_path / "elsewhere/bee/a.png")
    (tmp_path / "elsewhere/bee/a.png").rename(tmp_path / "elsewhere/a.png")
    assert opened.raw(1) == str(tmp_path / "elsewhere/a.png")
    (tmp_path / "elsewhere/ant/a.png").unlink()
    with pytest.raises(ParameterError, match=r"a.png is gone, and .*elsewhere/a.png is another"):
        opened.raw(0)


def test_tar_files_move_too(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    written(tmp_path)
    with tarfile.open(tmp_path / "old" / "a.tar", "w") as tar:
        for name in SAME_NAME:
            tar.add(tmp_path / name, name)
    opened = stored(tmp_path / "store", vaw.TarShards(tmp_path / "old" / "a.tar", label=None))
    (tmp_path / "old").rename(tmp_path / "new")
    vaw.images_moved(tmp_path / "store", tmp_path / "new")
    raw: Any = opened.raw(2)
    assert (raw.archive, raw.name) == (str(tmp_path / "new/a.tar"), SAME_NAME[2])


def test_paths_of_another_system_are_taken_by_their_ends(tmp_path: Path) -> None:
    network = r"\\server\share\val\a.png"
    places = [*other_places(network, tmp_path, {"images at": ["/mnt"], "written at": None})]
    assert places == [
        f"/mnt/{end}" for end in ("server/share/val/a.png", "share/val/a.png", "val/a.png", "a.png")
    ]
    assert not [*other_places(network, tmp_path, {"images at": "damaged"})]


def test_where_they_are_not_is_refused(tmp_path: Path) -> None:
    pictures = written(tmp_path / "old")
    stored(tmp_path / "store", pictures)
    with pytest.raises(
        ParameterError, match=r"No picture of .* looked for .*ant/a.png and .*a.png"
    ):
        vaw.images_moved(tmp_path / "store", tmp_path / "store")
    with pytest.raises(ParameterError, match="is no folder"):
        vaw.images_moved(tmp_path / "store", tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="holds no store"):
        vaw.images_moved(tmp_path / "old", tmp_path)
    stored(tmp_path / "nameless", [Image.open(pictures[0]).copy()])
    with pytest.raises(ParameterError, match="names no pictures"):
        vaw.images_moved(tmp_path / "nameless", tmp_path / "old")


def test_pictures_that_were_opened_before_are_told_by_what_they_show(tmp_path: Path) -> None:
    opened = stored(tmp_path / "store", [Image.open(path) for path in written(tmp_path / "old")])
    (tmp_path / "old").rename(tmp_path / "new")
    vaw.images_moved(tmp_path / "store", tmp_path / "new")
    assert opened.raw(2) == str(tmp_path / "new" / SAME_NAME[2])
