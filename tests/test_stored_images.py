"""The session opens a folder while it fills: what it says of images, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load

import vit_attention_widget as vaw
from tests.conform import problems
from tests.reference.overview import plane, vectors
from tests.stored_images import CHUNK, Filling
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.overview.stored.images import StoredImages
from vit_attention_widget.overview.stored.sample import chosen
from vit_attention_widget.overview.stored.summary import Summary
from vit_attention_widget.protocol.schema.requests import Requests
from vit_attention_widget.protocol.schema.results import Results
from vit_attention_widget.protocol.tensors import metadata_of
from vit_attention_widget.session.stored_payloads import Box
from vit_attention_widget.session.studies import stored_images

MODEL = vaw.demo.load_model()
VIT = vaw.describe(MODEL)
SCENE = vaw.demo.scene(seed=1).image


def silent(*_: object) -> None:
    return None


def opened(folder: Path) -> vaw.Session:
    session = vaw.Session(VIT, SCENE, image_set=folder, metric="taylor")
    looked(session)
    return session


def looked(session: vaw.Session) -> None:
    session.look_at_store()
    assert session._context.lanes.reading.wait(20)


def inside(encoded: bytes) -> dict[str, NDArray[Any]]:
    return load(encoded)


@pytest.mark.parametrize("steps", [(700,), (300, 556, 700)])
def test_what_is_said_of_all_images_is_that_of_all_of_them_at_once(
    tmp_path: Path, steps: tuple[int, ...]
) -> None:
    filling = Filling(tmp_path / "store", VIT, 700)
    filling.taylor[:, 2, 3] = np.nan  # as of a layer with fewer heads
    filling.taylor[7] = np.nan  # and an image that was skipped
    for count in steps:
        filling.fill(count)
        if count == steps[0]:
            stored = StoredImages(tmp_path / "store", VIT)
            summary = Summary(stored, "taylor")
        stored.look()
        summary.update(silent)
    values = np.delete(filling.taylor, 7, 0).astype(np.float64)
    labels = np.delete(filling.labels, 7)
    assert np.allclose(summary.mean(), values.mean(0), equal_nan=True)
    assert np.allclose(summary.mean(2), values[labels == 2].mean(0), equal_nan=True)
    assert summary.by_class is not None
    assert dict(summary.by_class.counts()) == {c: int((labels == c).sum()) for c in range(5)}

    counts, low, high = summary.histogram.used()
    edges = np.linspace(low, high, counts.shape[1] + 1)
    roots = np.sign(values) * np.sqrt(np.abs(values))
    for dim, (layer, head) in enumerate(np.ndindex(6, 4)):
        expected = np.histogram(roots[:, layer, head], edges)[0] if (layer, head) != (2, 3) else 0
        assert np.array_equal(counts[dim], np.broadcast_to(expected, len(counts[dim])))
    of_class = summary.histogram_of_class(2, silent)
    assert of_class.shape == counts.shape
    assert of_class[0].sum() == (labels == 2).sum()

    places, _ = summary.points()
    assert np.isnan(places[7]).all()
    points = torch.from_numpy(np.delete(places, 7, 0)).double()
    points -= (points.min(0).values + points.max(0).values) / 2
    points /= points.abs().max()
    of_all = vectors(torch.from_numpy(values))
    expected = plane(of_all)
    points *= (points * expected).sum(0).sign()  # a component's sign means nothing
    assert torch.allclose(points, expected, atol=1e-5)
    spread = torch.linalg.eigvalsh(of_all.T @ of_all)
    assert summary.plane is not None
    assert summary.plane.share == pytest.approx(float(spread[-2:].sum() / spread.sum()))


def test_it_grows_while_the_folder_fills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_images, "_CLASSES", 3)
    filling = Filling(tmp_path / "store", VIT, 1000)
    session = opened(tmp_path / "store")
    hints: Any = get_type_hints(Results, include_extras=True)
    assert session._stored["count"] == 0
    assert session._stored_points == b""
    for count, read in ((CHUNK, CHUNK), (512, 512), (1000, 1000)):
        filling.fill(count)
        looked(session)
        assert (session._stored["count"], session._stored["read"]) == (count, read)
        assert len(inside(session._stored_points)["classes"]) == count
        assert metadata_of(session._stored_heads)["images"] == str(count)
    for name in ("_stored", "_stored_heads", "_stored_points"):
        assert not problems(getattr(session, name), hints[name], name)
    assert session._stored["total"] == 1000
    assert session._stored["problem"] == ""
    listed, all_of_them = session._stored["classes"], session._stored["classes_in_all"]
    assert (len(listed), all_of_them) == (3, len(set(filling.labels.tolist())))
    before = session._stored_points
    looked(session)
    assert session._stored_points is before  # nothing new: nothing is sent
    session.close()


def test_of_a_clock_that_was_moved_no_rate_is_told(tmp_path: Path) -> None:
    filling = Filling(tmp_path, VIT, 4 * CHUNK)
    filling.fill(3 * CHUNK)
    stored = StoredImages(tmp_path, VIT)
    for away, is_told in ((0, True), (-3600, False), (3600, False)):
        for number in range(3):
            file = stored._zarr.file("jsd", number)
            os.utime(file, (time.time() + away + number,) * 2)
        assert (stored.rate > 0) == is_told


def test_a_class_by_itself_and_another_quantity(tmp_path: Path) -> None:
    filling = Filling(tmp_path / "store", VIT, 600)
    filling.fill(600)
    session = opened(tmp_path / "store")
    assert session._stored["quantity"] == "jsd"
    session.studies.stored_images.show("taylor", 3)
    assert session._context.lanes.reading.wait(20)
    heads = inside(session._stored_heads)
    ours = filling.labels == 3
    assert np.allclose(heads["mean"], filling.taylor.mean(0), atol=1e-6)
    assert np.allclose(heads["class_mean"], filling.taylor[ours].mean(0), atol=1e-6)
    assert heads["class_bins"][0, 0].sum() == ours.sum()
    with pytest.raises(ParameterError, match=r"no depth in .*choose one of jsd, taylor"):
        session.studies.stored_images.show("depth")
    values = inside(session.studies.stored_images.image(599))["values"]
    assert np.array_equal(values, filling.taylor[599])
    hints: Any = get_type_hints(Requests, include_extras=True)
    for name, answer in (
        ("stored_image", session.studies.stored_images.image(5)),
        ("stored_points", session.studies.stored_images.points(Box(-1, 1, -1, 1))),
        ("stored_pictures", session.studies.stored_images.pictures([0])),
    ):
        assert not problems(answer, hints[name].__args__[1], name)
    session.close()


def test_of_very_many_images_a_fixed_choice_is_drawn() -> None:
    everything = np.arange(10_000)
    some = chosen(everything, 1000)
    assert len(some) == 1000
    assert (np.diff(some) > 0).all()
    assert abs(some.mean() / 5000 - 1) < 0.02  # from all over the set
    assert set(chosen(everything[2000:4000], 1000)) >= set(some[(some >= 2000) & (some < 4000)])


def test_points_are_asked_for_while_more_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filling = Filling(tmp_path / "store", VIT, 500)
    filling.fill(400)
    stored = StoredImages(tmp_path / "store", VIT)
    summary = Summary(stored, "taylor")
    summary.update(silent)
    filling.fill(500)
    stored.look()
    concatenate, lengths = np.concatenate, set[int]()

    def meanwhile(*args: Any) -> NDArray[Any]:
        lengths.add(len(set(map(len, summary.points()))))
        return concatenate(*args)

    monkeypatch.setattr(np, "concatenate", meanwhile)
    summary.update(silent)
    assert lengths == {1}


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("taylor/.zarray", "chunks", [0, 6, 4]),
        ("taylor/.zarray", "dtype", "|O"),
        ("taylor/.zarray", "dtype", "no type"),
        (".zattrs", "number of images", -5),
        (".zattrs", "skipped", {"x": "it has no number"}),
        (".zattrs", "skipped", ["x"]),
    ],
)
def test_metadata_that_cannot_be_is_damaged(
    tmp_path: Path, where: str, name: str, value: object
) -> None:
    Filling(tmp_path, VIT, 20).fill(20)
    file = tmp_path / ".zmetadata"
    told = json.loads(file.read_text())
    told["metadata"][where][name] = value
    file.write_text(json.dumps(told))
    with pytest.raises(ParameterError, match="is damaged"):
        StoredImages(tmp_path, VIT)


@pytest.mark.parametrize("size", [0, -256, "many", None])
def test_a_manifest_that_cannot_be_is_damaged(tmp_path: Path, size: object) -> None:
    Filling(tmp_path, VIT, 20).fill(20)
    about = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**about, "images of a chunk": size}))
    with pytest.raises(ParameterError, match="is damaged"):
        StoredImages(tmp_path, VIT)


@pytest.mark.parametrize("label", [2**40, -100])
def test_classes_that_cannot_be_are_damaged(tmp_path: Path, label: int) -> None:
    filling = Filling(tmp_path, VIT, 20)
    filling.labels[3] = label
    filling.fill(20)
    with pytest.raises(ParameterError, match=r"is damaged: images 0 to 19 have classes"):
        StoredImages(tmp_path, VIT).classes(0, 20)


def _of_other_weights(folder: Path) -> vaw.Session:
    other = vaw.demo.load_model()
    other.head.weight.data.add_(1)
    return vaw.Session(other, SCENE, image_set=folder)


def _prepared_otherwise(folder: Path) -> vaw.Session:
    about = json.loads((folder / "manifest.json").read_text())
    about["preparation"] = "another transform"
    (folder / "manifest.json").write_text(json.dumps(about))
    return vaw.Session(VIT, SCENE, image_set=folder)


def _of_another_size(folder: Path) -> vaw.Session:
    about = json.loads((folder / "manifest.json").read_text())
    about["prepared picture"][1] += 16
    (folder / "manifest.json").write_text(json.dumps(about))
    return vaw.Session(VIT, SCENE, image_set=folder)


def _of_another_function(folder: Path, function: str = "evaluate") -> vaw.Session:
    about = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**about, "function": function}))
    return vaw.Session(VIT, SCENE, image_set=folder)


def _damaged_manifest(folder: Path) -> vaw.Session:
    (folder / "manifest.json").write_text("{")
    return vaw.Session(VIT, SCENE, image_set=folder)


def _empty(folder: Path) -> vaw.Session:
    (folder / "empty").mkdir()
    return vaw.Session(VIT, SCENE, image_set=folder / "empty")


@pytest.mark.parametrize(
    ("open_it", "says"),
    [
        (_of_other_weights, "is of another model: its weights are others"),
        (_prepared_otherwise, "pictures were prepared by another transform, here timm's"),
        (_of_another_size, "pictures were prepared in another size"),
        (_of_another_function, "is of evaluate, which knows no number of each image and head"),
        (_of_another_function, r"is returned by the same call with store='.*'\.$"),
        (
            partial(_of_another_function, function="AttentionPatterns.fit"),
            r"call with store='.*', and shown by giving that as patterns=\.$",
        ),
        (_damaged_manifest, "manifest.json is damaged"),
        (_empty, r"holds no store: .*head_importance\(..., store=...\)"),
        (lambda f: vaw.Session(VIT, SCENE, image_set=f / "nowhere"), "nowhere does not exist"),
        (lambda f: vaw.Session(VIT, SCENE, image_set=str(f), selected_image=3), "cannot be opened"),
    ],
)  # fmt: skip
def test_what_is_no_store_of_this_model_is_refused(tmp_path: Path, open_it: Any, says: str) -> None:
    Filling(tmp_path, VIT, 300).fill(300)
    with pytest.raises(ParameterError, match=says):
        open_it(tmp_path)


def test_another_model_is_refused_and_a_changed_one_takes_away_what_was_shown(
    tmp_path: Path,
) -> None:
    Filling(tmp_path, VIT, 300).fill(300)
    model = vaw.demo.load_model()
    session = vaw.Session(model, SCENE, image_set=tmp_path)
    looked(session)
    other = vaw.demo.load_model()
    other.head.weight.data.add_(1)
    with pytest.raises(ParameterError, match="of another model"):
        session.model = other
    assert session._stored_points
    session.wait()
    model.head.weight.data.add_(1)
    session._context.look_again()
    assert "its weights are others" in session._stored["problem"]
    assert session._stored_points == session._stored_heads == b""
    looked(session)
    assert session._stored_points == b""
    session.close()


def test_a_folder_that_is_damaged_or_goes_while_it_is_open_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    filling = Filling(folder, VIT, 5000)
    filling.fill(600)
    session = opened(folder)
    filling.fill(4000)
    (folder / "jsd" / "8.0.0").write_bytes(b"damaged")
    looked(session)
    assert "8.0.0 is damaged" in session._stored["problem"]
    assert session._stored["read"] == 8 * CHUNK  # what is before it is shown
    assert len(inside(session._stored_points)["classes"]) == 8 * CHUNK
    filling.fill(0)
    filling.fill(4000)  # as the run writes it again
    looked(session)
    assert session._stored["problem"] == ""
    assert session._stored["read"] == 4000
    Filling(folder, VIT, 5000, seed=1)
    about = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**about, "metric": ["loss"]}))
    looked(session)
    assert "is of another run now" in session._stored["problem"]
    shutil.rmtree(folder)
    looked(session)
    assert "does not exist" in session._stored["problem"]
    assert session._stored_points  # the last that was known
    session.close()


def test_pictures_in_tar_files_are_shown_and_opened(tmp_path: Path) -> None:
    scenes = [vaw.demo.scene(seed=seed) for seed in range(6)]
    for name, some in (("a-0.tar", range(4)), ("a-1.tar", range(4, 6))):
        with tarfile.open(tmp_path / name, "w") as tar:
            for n in some:
                Image.fromarray(scenes[n].image).save(tmp_path / f"{n}.png")
                tar.add(tmp_path / f"{n}.png", f"val/{n:04d}.png")
                (tmp_path / f"{n}.png").unlink()
    shards = vaw.TarShards(tmp_path / "a-*.tar", label=None)
    vaw.image_overview(MODEL, shards, metric="taylor", store=tmp_path / "store")
    (tmp_path / "a-1.tar").unlink()
    session = opened(tmp_path / "store")
    assert session._stored["has_files"]
    study = session.studies.stored_images
    assert inside(study.pictures([1, 3, 5]))["images"].tolist() == [1, 3]
    assert metadata_of(study.image(3))["name"] == "0003.png"
    assert metadata_of(study.image(3))["why_not"] == ""
    session.selected_image = 3
    session.wait()
    assert session._model_info["image_name"] == "0003.png"
    assert session.trace is not None
    expected = vaw.trace(MODEL, scenes[3].image).inputs
    assert torch.equal(session.trace.inputs, expected)
    with pytest.raises(ParameterError, match=r"Image 5 .*a-1.tar is gone"):
        session.selected_image = 5
    session.close()


def test_images_that_have_files_are_shown_and_opened(tmp_path: Path) -> None:
    scenes = [vaw.demo.scene(seed=seed) for seed in range(9)]
    paths = [tmp_path / f"scene {seed}.png" for seed in range(9)]
    for scene, path in zip(scenes, paths, strict=True):
        Image.fromarray(scene.image).save(path)
    pairs = [(path, scene.label) for path, scene in zip(paths, scenes, strict=True)]
    overview = vaw.image_overview(MODEL, pairs, metric="taylor", store=tmp_path / "store")
    paths[4].unlink()
    session = opened(tmp_path / "store")
    assert session._stored["has_files"]
    assert (session._stored["count"], session._stored["total"]) == (9, 9)
    heads = inside(session._stored_heads)
    assert np.allclose(heads["mean"], overview.importance.mean(), atol=1e-6)
    pictures = inside(session.studies.stored_images.pictures([2, 4, 8]))
    assert pictures["images"].tolist() == [2, 8]
    told = metadata_of(session.studies.stored_images.image(2))
    assert told["name"] == "scene 2.png"
    assert told["of_class"] == str(scenes[2].label)
    session.selected_image = 2
    session.wait()
    assert session._model_info["image_name"] == "scene 2.png"
    assert session.trace is not None
    assert session._stored_points  # what is said of all of them stays
    with pytest.raises(ParameterError, match=r"Image 4 .*scene 4.png is gone"):
        session.selected_image = 4
    assert session.selected_image == 2
    with pytest.raises(ParameterError, match="to compute on images give the session image_set"):
        session.measure_strength_of_set()
    session.close()


WRITER = """
import sys
from pathlib import Path
from tests.stored_images import Filling
import vit_attention_widget as vaw
filling = Filling(Path(sys.argv[1]), vaw.describe(vaw.demo.load_model()), 50_000)
for count in range(256, 50_000, 256):
    filling.fill(count)
    print(count, flush=True)
"""


@pytest.mark.slow
def test_a_writer_is_killed_while_its_folder_is_read(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"},
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    session = opened(tmp_path / "store")
    counts = []
    for _ in range(10):
        looked(session)
        counts.append(session._stored["read"])
        assert session._stored["problem"] == ""
        time.sleep(0.02)
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    looked(session)
    looked(session)
    assert session._stored["problem"] == ""
    assert session._stored["read"] == session._stored["count"] >= counts[-1]
    session.close()
