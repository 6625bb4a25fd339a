"""Pictures in tar files: found once, read in place, by whoever computes."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

import vit_attention_widget as vaw
from tests.faults import TINY
from vit_attention_widget.errors import ImageError, ParameterError
from vit_attention_widget.models.archived_picture import ArchivedPicture


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (number * 9, 255 - number * 9, 40)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def shard(path: Path, numbers: range) -> Path:
    files = []
    for n in numbers:
        files += [(f"train/{n:04d}.png", png(n)), (f"train/{n:04d}.cls", f"{n % 3}\n".encode())]
    return write(path, files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shard(tmp_path / "a-0.tar", range(9))
    shard(tmp_path / "a-1.tar", range(9, 12))
    return tmp_path


def pictures(count: int) -> list[tuple[Image.Image, int]]:
    return [(Image.open(io.BytesIO(png(n))), n % 3) for n in range(count)]


def test_numbers_are_those_of_the_pictures_themselves(folder: Path) -> None:
    model = TINY.build()
    expected = vaw.head_importance(model, pictures(12), metric="loss")
    for given in (folder, str(folder / "a-*.tar"), [folder / "a-0.tar", folder / "a-1.tar"]):
        shards = vaw.TarShards(given)
        assert len(shards) == 12
    importance = vaw.head_importance(model, shards, metric="loss")
    assert torch.equal(importance.values, expected.values)
    assert importance.labels is not None
    assert importance.labels.tolist() == [n % 3 for n in range(12)]
    with ThreadPoolExecutor(2) as threads:
        importance = vaw.head_importance(
            model, shards, metric="loss", executor=threads, store=folder / "store"
        )
    torch.testing.assert_close(importance.values, expected.values)
    assert "2 tar files" in repr(shards)


def test_little_is_sent_and_nothing_is_extracted(folder: Path) -> None:
    before = sorted(folder.iterdir())
    sent = pickle.loads(pickle.dumps(vaw.TarShards(folder)[3:5]))
    assert len(pickle.dumps(sent[0])) < 300
    assert sent[0][0].content() == png(3)
    assert vaw.accuracy(TINY.build(), vaw.TarShards(folder)) >= 0
    assert sorted(folder.iterdir()) == before


def test_classes_may_be_names_or_missing(tmp_path: Path) -> None:
    named = write(tmp_path / "n.tar", [("x.png", png(1)), ("x.cls", "löwe".encode())])
    assert vaw.TarShards(named)[0][1] == "löwe"  # type: ignore[index]
    assert isinstance(vaw.TarShards(named, label=None)[0], ArchivedPicture)
    shards = vaw.TarShards(shard(tmp_path / "c.tar", range(2)), classes=["a", "b", "c"])
    assert shards.classes == ["a", "b", "c"]
    empty = write(tmp_path / "e.tar", [("x.png", png(1)), ("x.cls", b"\x00\x01")])
    with pytest.raises(ParameterError, match=r"'x.cls' of .* holds no class"):
        vaw.TarShards(empty)


def test_of_two_pictures_one_is_meant(tmp_path: Path) -> None:
    two = write(tmp_path / "t.tar", [("x.png", png(1)), ("x.jpg", png(2)), ("x.seg.png", png(3))])
    with pytest.raises(ParameterError, match="two pictures of 'x'"):
        vaw.TarShards(two)
    (picture,) = vaw.TarShards(two, picture=".JPG")
    assert isinstance(picture, ArchivedPicture)
    assert picture.content() == png(2)


def test_names_are_never_paths(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(5))
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as tar:
        for name, kind in (("a.png", tarfile.SYMTYPE), ("b.png", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(secret)
            tar.addfile(link)
        device = tarfile.TarInfo("c.png")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
        up = tarfile.TarInfo("../../secret.png")
        up.size = len(png(7))
        tar.addfile(up, io.BytesIO(png(7)))
    (picture,) = vaw.TarShards(evil)
    assert isinstance(picture, ArchivedPicture)
    assert picture.content() == png(7)


def test_what_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "a-0.tar").read_bytes()
    cut = tmp_path / "cut"
    for some in (whole[:700], whole[:1100], whole[:1400], whole[:2048] + b"?" * 1024):
        cut.write_bytes(some)
        with pytest.raises(ImageError, match="cut cannot be read as a tar file"):
            vaw.TarShards(cut)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(whole))
    with pytest.raises(ImageError, match="it is compressed"):
        vaw.TarShards(packed)
    with pytest.raises(ImageError, match="There is no tar file"):
        vaw.TarShards(tmp_path / "none.tar")
    (tmp_path / "folder" / "x.tar").mkdir(parents=True)
    for nothing in ("folder", "fold*", "folder/x.tar"):
        with pytest.raises(ImageError, match="There is no tar file"):
            vaw.TarShards(tmp_path / nothing)
    with pytest.raises(ImageError, match="There is no picture in"):
        vaw.TarShards(write(tmp_path / "text", [("a.txt", b"a")]))
    shards = vaw.TarShards(folder / "a-0.tar")
    (folder / "a-0.tar").write_bytes(whole[: shards[5][0].offset + 9])  # type: ignore[index]
    with pytest.warns(UserWarning, match=r"4 images could not .* image 5: .*ends after 9 of"):
        strength = vaw.attention_strength(TINY.build(), shards, on_error="skip")
    assert list(strength.skipped) == [5, 6, 7, 8]


def test_a_picture_that_is_none_is_named_by_its_shard(tmp_path: Path) -> None:
    bad = write(tmp_path / "b.tar", [("x.png", b"not a picture at all")])
    with pytest.raises(ImageError, match=r"'x.png' of .*b.tar' is not a picture"):
        vaw.attention_strength(TINY.build(), vaw.TarShards(bad))


def test_where_a_picture_lies_is_written_down_and_read_again() -> None:
    picture = ArchivedPicture("/data/a-0.tar", 'odd "name", [1].png', 512, 99)
    assert ArchivedPicture.from_text(picture.to_text()) == picture
    others = "", "/data/a.png", "7", "[1]", '["a.tar", "b", 1, true]', '["a.tar", "b", -1, 2]'
    assert [ArchivedPicture.from_text(text) for text in others] == [None] * len(others)
