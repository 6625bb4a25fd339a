"""Long runs go on from a folder, also after their process was killed, and others can read it."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import xarray
from PIL import Image
from torch import nn

import vit_attention_widget as vaw
from tests.faults import FUNCTIONS, TINY, attempt, images, progress_calls, whole
from tests.models import randomise
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.runs import folder
from vit_attention_widget.runs.told import Teller
from vit_attention_widget.runs.told_images import digest_of_images

QUICK = ("head_importance", "compare", "accuracy")
NAMES = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FUNCTIONS]
FORKS = """
import os, signal, sys
from tests.faults import FUNCTIONS, TINY, images
from vit_attention_widget.runs import folder
folder._EVERY, folder._CHUNK = 0.0, 16
def run(name, where, until):
    def report(fraction, label):
        if fraction >= until:
            os.kill(os.getpid(), signal.SIGKILL)
    function = FUNCTIONS[name]
    function.run(TINY.build(), images(function.count), store=where, progress=report)
for line in sys.stdin:
    name, where, until, count = line.rstrip().split("\\t")
    children = []
    for _ in range(int(count)):
        if not (child := os.fork()):
            run(name, where, float(until))
            os._exit(0)
        children.append(child)
    print(*(os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children), flush=True)
"""

Processes = Callable[[str, Path, float, int], list[int]]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """Run a function in processes that kill themselves at a share of the run: their exit codes.

    They are forked off one that has imported everything.
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"},
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    into, out = parent.stdin, parent.stdout

    def run(name: str, where: Path, until: float, count: int) -> list[int]:
        print(name, where, until, count, sep="\t", file=into, flush=True)
        return [int(code) for code in out.readline().split()]

    yield run
    parent.communicate()


@pytest.fixture(autouse=True)
def _write_always_and_chunks_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_EVERY", 0.0)
    monkeypatch.setattr(folder, "_CHUNK", 16)


def run(name: str, where: Path, calls: list[float] | None = None, **more: Any) -> Any:
    function = FUNCTIONS[name]
    if calls is not None:
        more["progress"] = lambda fraction, label: calls.append(fraction)
    return function.run(TINY.build(), images(function.count), store=where, **more)


def same(name: str, result: Any) -> None:
    rows = FUNCTIONS[name].rows
    torch.testing.assert_close(rows(result), rows(whole(name)), rtol=0, atol=0, equal_nan=True)
    assert result.complete


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_goes_on(name: str, processes: Processes, tmp_path: Path) -> None:
    torch.set_num_threads(1)  # as there, so that sums are rounded alike
    assert processes(name, tmp_path, 0.3, 1) == [-signal.SIGKILL]
    assert list(tmp_path.rglob("*.safetensors"))
    calls: list[float] = []
    same(name, run(name, tmp_path, calls))
    assert len(calls) < progress_calls(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_call_goes_on_from_what_it_kept(name: str) -> None:
    function, calls = FUNCTIONS[name], list[float]()
    start = attempt(name, "cancel", 0.35).partial
    gone_on = function.run(
        TINY.build(),
        images(function.count),
        start=start,
        progress=lambda fraction, label: calls.append(fraction),
    )
    same(name, gone_on)
    assert len(calls) < progress_calls(name)


def stopped(name: str, where: Path, at: int) -> None:
    """Run a function that an error ends at a call of its callback."""
    calls = 0

    def report(fraction: float, label: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError("the disk is gone")

    with pytest.warns(UserWarning, match="OSError"):
        run(name, where, progress=report)


def test_damaged_parts_are_computed_again(tmp_path: Path) -> None:
    stopped("head_importance", tmp_path, 11)
    first, second, *_ = sorted(tmp_path.rglob("*.safetensors"))
    assert [file.parent.name for file in (first, second)] == ["parts", "parts"]
    first.write_bytes(first.read_bytes()[:-5])
    second.write_bytes(b"")
    calls: list[float] = []
    same("head_importance", run("head_importance", tmp_path, calls))
    assert len(calls) == 2 * 3 + 1  # two batches of three layers, and what was left
    [chunk] = tmp_path.rglob("*.safetensors")
    chunk.write_bytes(chunk.read_bytes()[:-5])
    calls.clear()
    same("head_importance", run("head_importance", tmp_path, calls))
    assert len(calls) == progress_calls("head_importance")


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    run("head_importance", tmp_path)
    data = images(7)
    options: dict[str, Any] = {"max_batch": 4, "store": tmp_path}
    metric = ["probability", "jsd"]
    with pytest.raises(ParameterError, match=r"its metric is \['probability', 'jsd'\]"):
        vaw.head_importance(TINY.build(), data, metric="jsd", **options)
    with pytest.raises(ParameterError, match="its target is None, but here it is 1"):
        vaw.head_importance(TINY.build(), data, 1, metric=metric, **options)
    other = TINY.build()
    with torch.no_grad():
        next(other.parameters()).mul_(1.1)
    with pytest.raises(ParameterError, match="its weights is"):
        vaw.head_importance(other, data, metric=metric, **options)
    other = TINY.build()
    width = other.blocks[1].attn.proj.weight.shape[1]
    with torch.no_grad():  # a single head, switched off by its weights
        other.blocks[1].attn.proj.weight[:, width // 2 :] = 0
    with pytest.raises(ParameterError, match="its all weights is"):
        vaw.head_importance(other, data, metric=metric, **options)
    with pytest.raises(ParameterError, match="of other images: image 0 is not"):
        vaw.head_importance(TINY.build(), data[::-1], metric=metric, **options)
    with pytest.raises(ParameterError, match="its function is head_importance"):
        vaw.accuracy(TINY.build(), data, [0] * 7, store=tmp_path)
    start = whole("head_importance")
    with pytest.raises(ParameterError, match="give one"):
        vaw.head_importance(TINY.build(), data, metric=metric, start=start, **options)


def test_a_preparation_of_the_same_name_is_told_by_what_it_does(tmp_path: Path) -> None:
    model, picture = TINY.build(), vaw.demo.scene(seed=1).image
    size = TINY.inputs(1).shape[-1]

    def preparing(level: float) -> Any:
        def transform(image: Image.Image) -> torch.Tensor:
            pixels = torch.from_numpy(np.array(image.resize((size, size)))).permute(2, 0, 1)
            return pixels / 255 - level

        return vaw.describe(model, transform=transform)

    before = vaw.attention_strength(preparing(0.5), [picture], store=tmp_path)
    again = vaw.attention_strength(preparing(0.5 + 1e-6), [picture], store=tmp_path)
    assert torch.equal(before.entropy, again.entropy)  # rounded elsewhere
    crops = vaw.describe(model, transform=lambda image: torch.randn(3, size, size))
    for _ in range(2):  # it makes other numbers each time: that is no reason to refuse
        vaw.attention_strength(crops, [picture], store=tmp_path / "random")
    with pytest.raises(ParameterError, match=r"its prepared picture is \[3, .* Give another"):
        vaw.attention_strength(preparing(0.4), [picture], store=tmp_path)


def test_other_code_of_the_same_weights_is_told_by_its_output(tmp_path: Path) -> None:
    model: Any = TINY.build()

    def adapted(scale: float) -> Any:
        return vaw.adapt(
            model,
            "blocks",
            lambda tokens: scale * model.forward_head(model.norm(tokens)),
            forward=lambda inputs: scale * model(inputs),
            image_size=32,
            patch_size=8,
        )

    def importance(vit: Any) -> vaw.HeadImportance:
        return vaw.head_importance(vit, images(2), metric="loss", store=tmp_path)

    before = importance(adapted(1.0))
    assert torch.equal(before.values, importance(adapted(1.0 + 1e-6)).values)  # rounded elsewhere
    for other in (adapted(0.5), adapted(2.0)):
        with pytest.raises(ParameterError, match="its output for a picture is"):
            importance(other)
    with (
        vaw.masked_heads(model, {0: [1]}),
        pytest.raises(ParameterError, match="its output for a picture is"),
    ):
        importance(adapted(1.0))


def test_images_are_told_by_their_labels_too(tmp_path: Path) -> None:
    model, data = TINY.build(), images(3)
    pairs = [(image, label) for image, label in zip(data, (0, 1, 2), strict=True)]
    before = vaw.head_importance(model, pairs, store=tmp_path)
    whole = [(image, np.int64(label)) for image, label in pairs]
    again = vaw.head_importance(model, whole, store=tmp_path)
    assert torch.equal(before.values, again.values)
    for other in (data, [*pairs[:2], (data[2], 0)]):
        with pytest.raises(ParameterError, match=r"image \d is not .*, or has another label"):
            vaw.head_importance(model, other, store=tmp_path)


def test_prompts_are_told_by_their_features_and_scale(tmp_path: Path) -> None:
    tower: Any = TINY.build()
    tower.reset_classifier(0)
    features, names = torch.randn(2, tower.num_features), ["a cat", "a dog"]
    prompts = partial(vaw.zero_shot, tower, names)
    vaw.attention_strength(prompts(features=features), images(1), store=tmp_path)
    vaw.attention_strength(prompts(features=features * 3), images(1), store=tmp_path)  # as long
    for other in (prompts(features=features.flip(0)), prompts(features=features, scale=1.0)):
        with pytest.raises(ParameterError, match="its prompts is"):
            vaw.attention_strength(other, images(1), store=tmp_path)


def test_two_runs_at_once_do_not_harm_a_folder(processes: Processes, tmp_path: Path) -> None:
    assert processes("head_importance", tmp_path, 2.0, 2) == [0, 0]
    calls: list[float] = []
    same("head_importance", run("head_importance", tmp_path, calls))
    assert calls == []
    assert not list(tmp_path.rglob(".*.part"))


def test_a_full_disk_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = folder.write_tensors, 0

    def full(*args: Any) -> None:
        nonlocal written
        written += 1
        if written > 5:
            raise ParameterError("the file cannot be written: No space left on device.")
        write(*args)

    monkeypatch.setattr(folder, "write_tensors", full)
    with pytest.raises(ParameterError, match="No space left") as stopped:
        run("head_importance", tmp_path)
    assert len(stopped.value.partial) == 4  # type: ignore[attr-defined]
    monkeypatch.setattr(folder, "write_tensors", write)
    same("head_importance", run("head_importance", tmp_path))


def test_a_disk_that_is_full_at_any_write_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts, chunks, the manifest and what others read are each written whole or not at all."""
    written, until = 0, sys.maxsize

    def full(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > until:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vit_attention_widget.results.files.os.fsync", full)
    same("attention_strength", run("attention_strength", tmp_path / "whole"))
    for until in range(0, written, max(1, written // 12)):
        written, store = 0, tmp_path / str(until)
        with pytest.raises(ParameterError, match=r"cannot be written: .*No space left"):
            run("attention_strength", store)
        written, until = 0, sys.maxsize
        same("attention_strength", run("attention_strength", store))
        assert xarray.open_zarr(store).sizes["image"] == 20
        assert not list(store.rglob(".*.part"))


def test_the_manifest_says_what_was_run(tmp_path: Path) -> None:
    run("evaluate", tmp_path)
    about = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert about["function"] == "evaluate"
    assert about["methods"] == ["rollout", "daam", "center", "random"]
    assert set(about["versions"]) == {"vit-attention-widget", "torch", "timm"}


def test_an_error_and_then_the_same_call(tmp_path: Path) -> None:
    def broken(fraction: float, label: str) -> None:
        if fraction > 0.5:
            raise OSError("the disk is gone")

    with pytest.warns(UserWarning, match="OSError"):
        run("head_importance", tmp_path, progress=broken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same("head_importance", run("head_importance", tmp_path))


READ = ("head_importance", "evaluate", "attention_strength")


@pytest.mark.parametrize("name", READ)
def test_xarray_and_pandas_read_it(name: str, tmp_path: Path) -> None:
    result = run(name, tmp_path)
    read = xarray.open_zarr(tmp_path).load()
    expected = result.to_xarray()
    assert dict(read.sizes) == dict(expected.sizes)
    assert set(read.data_vars) == set(expected.data_vars)
    for variable in expected.data_vars:
        np.testing.assert_array_equal(read[variable], expected[variable])
    for axis in set(expected.coords) & set(read.coords):
        assert read[axis].values.tolist() == expected[axis].values.tolist()
    table = read.to_dataframe()
    assert len(table) == np.prod(list(read.sizes.values()))


def test_what_is_there_can_be_read_while_it_fills(tmp_path: Path) -> None:
    stopped("attention_strength", tmp_path, 2)  # after 16 of 20 images
    assert xarray.open_zarr(tmp_path).sizes["image"] == 16
    shutil.rmtree(tmp_path / "distance")
    (tmp_path / ".zmetadata").write_text("{")  # the machine went down
    whole = run("attention_strength", tmp_path)
    read = xarray.open_zarr(tmp_path)
    np.testing.assert_array_equal(read["distance"], whole.distance)


def test_images_that_were_added_are_computed_alone(tmp_path: Path) -> None:
    model, calls = TINY.build(), list[str]()
    for count in (5, 12, 21):
        result = vaw.attention_strength(
            model,
            images(count),
            store=tmp_path,
            progress=lambda fraction, label: calls.append(label),
        )
        assert len(result) == count
        assert xarray.open_zarr(tmp_path).sizes["image"] == count
    places = ((0, 5), (5, 12), (8, 12), (12, 21), (16, 21))
    assert calls == [f"measuring attention, image {first} of {count}" for first, count in places]
    for fewer in (20, 16, 3):  # their result would be of images that were not given
        with pytest.raises(ParameterError, match=f"of more than the {fewer} images"):
            vaw.attention_strength(model, images(fewer), store=tmp_path)
    whole = vaw.attention_strength(model, images(21))
    torch.testing.assert_close(result.profile, whole.profile)
    assert sorted(file.name for file in (tmp_path / "chunks").iterdir()) == [
        f"{number:06d}.safetensors" for number in range(2)
    ]
    assert not list((tmp_path / "parts").iterdir())


def test_a_process_holds_the_parts_of_a_chunk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, held = folder._InFolder.put, list[int]()

    def counted(kept: Any, *args: Any) -> None:
        put(kept, *args)
        held.append(len(kept._parts))

    monkeypatch.setattr(folder._InFolder, "put", counted)
    run("attention_strength", tmp_path)  # 8, 8 and 4 images
    assert held == [1, 0, 1]


def test_another_run_that_gathered_first_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes parts while this one looks for them."""
    read_part = folder._InFolder._read_part
    beside = tmp_path / "beside"
    run("attention_strength", beside)

    def raced(kept: Any, first: int) -> Any:
        part = tmp_path / "parts" / f"{first:08d}.safetensors"
        if first == 8 and part.exists():
            part.unlink()
            shutil.copy(beside / "chunks" / "000000.safetensors", tmp_path / "chunks")
        return read_part(kept, first)

    with monkeypatch.context() as changed:
        changed.setattr(folder._InFolder, "_read_part", raced)
        same("attention_strength", run("attention_strength", tmp_path))
    calls: list[float] = []
    same("attention_strength", run("attention_strength", tmp_path, calls))
    assert calls == []


def test_a_part_that_another_run_gathers_as_it_is_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped("attention_strength", tmp_path, 1)  # after 8 of 20 images
    [part] = (tmp_path / "parts").iterdir()
    read_tensors = folder.read_tensors

    def gone(file: Path, *args: Any, **kwargs: Any) -> Any:
        part.unlink(missing_ok=True)
        return read_tensors(file, *args, **kwargs)

    monkeypatch.setattr(folder, "read_tensors", gone)
    same("attention_strength", run("attention_strength", tmp_path))


def test_what_traces_mask_and_functions_do_tells_runs_apart(tmp_path: Path) -> None:
    model, pictures = TINY.build(), images(2)
    whole_trace = vaw.trace(model, pictures, gradients=False)
    masked_trace = vaw.trace(model, pictures, head_mask={0: [0]}, gradients=False)
    vaw.attention_strength(whole_trace, store=tmp_path / "strength")
    with pytest.raises(ParameterError, match="its head_mask is"):
        vaw.attention_strength(masked_trace, store=tmp_path / "strength")
    where = tmp_path / "importance"
    vaw.head_importance(model, pictures, lambda logits: logits[:, 0], metric="taylor", store=where)
    vaw.head_importance(model, pictures, lambda logits: logits[:, 0], metric="taylor", store=where)
    with pytest.raises(ParameterError, match="its target is"):
        vaw.head_importance(
            model, pictures, lambda logits: logits[:, 1], metric="taylor", store=where
        )


LEVEL = 0.5
LEVELS = {"low": LEVEL}


def _level() -> float:
    return LEVELS["low"]


class _Above:
    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        return self.above(logits)

    def above(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, 0] + self.level


def _by_global(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 0] + _level() + settings.LEVEL  # type: ignore[attr-defined]


settings = types.ModuleType("settings")


def told(value: object) -> Any:
    teller = Teller()
    said = json.loads(json.dumps(teller.tell(value, "target")))
    assert not teller.untold
    return said


def test_functions_are_told_apart_by_what_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LEVEL = 1  # type: ignore[attr-defined]
    before = told(_by_global)
    assert told(_by_global) == before
    with monkeypatch.context() as changed:
        changed.setitem(LEVELS, "low", 0.6)  # of a function that it calls
        assert told(_by_global) != before
    with monkeypatch.context() as changed:
        changed.setattr(settings, "LEVEL", 2, raising=False)
        assert told(_by_global) != before
    assert told(_by_global) == before
    assert told(_Above(1)) == told(_Above(1)) != told(_Above(2))
    assert told(_Above(1).above) != told(_Above(2).above)
    assert told(partial(torch.add, alpha=1)) != told(partial(torch.add, alpha=2))
    with monkeypatch.context() as changed:
        one = told(_Above(1))
        changed.setattr(_Above, "above", lambda self, logits: logits[:, 1])
        assert told(_Above(1)) != one
    one, other = (lambda logits: logits in {0, 8}), (lambda logits: logits in {8, 0})
    assert told(one) == told(other)  # the same set, in another order
    large = torch.zeros(30)
    assert told(lambda logits: logits @ large) != told(lambda logits: logits @ (large + 1))


def test_targets_of_our_own_are_told_apart() -> None:
    banks = []
    for seed in (0, 1):
        model = TINY.build()
        model.reset_classifier(0)
        pictures = list(TINY.inputs(4, seed=seed))
        banks.append(vaw.targets.MemoryBank.fit(model, pictures, [0, 1, 0, 1], k=2))
    assert told(banks[0].target()) == told(banks[0].target()) != told(banks[1].target())


def test_what_cannot_be_told_is_warned_of(tmp_path: Path) -> None:
    lock = threading.Lock()

    def target(logits: torch.Tensor) -> torch.Tensor:
        with lock:
            return logits[:, 0]

    with pytest.warns(UserWarning, match=r"cannot be told from other values .*: lock \(a lock\)"):
        vaw.head_importance(TINY.build(), images(1), target, metric="taylor", store=tmp_path)


def test_a_file_that_was_written_over_is_another_image(tmp_path: Path) -> None:
    file = tmp_path / "image.bmp"
    digests = []
    for color in ("red", "blue"):
        Image.new("RGB", (8, 8), color).save(file)  # of one size
        digests.append(digest_of_images([str(file)]))
    assert digests[0] != digests[1]


class Named:
    """What has a path, or an array, and is neither."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __fspath__(self) -> Any:
        return self.value


class Drawn(Named):
    __fspath__ = None  # type: ignore[assignment]

    def __array__(self, *_: object, **__: object) -> Any:
        return self.value


def test_images_of_every_kind_are_told_apart(tmp_path: Path) -> None:
    kinds: dict[str, list[Any]] = {}
    for color in ("red", "blue"):
        picture = Image.new("RGB", (8, 8), color)
        picture.save(tmp_path / f"{color}.bmp")
        data = (tmp_path / f"{color}.bmp").read_bytes()
        palette = Image.new("P", (8, 8))
        palette.putpalette(picture.getpixel((0, 0)) * 256)  # type: ignore[operator]
        each = {
            "bytes": data, "memory": memoryview(data), "open file": io.BytesIO(data),
            "name": str(tmp_path / f"{color}.bmp"), "path": tmp_path / f"{color}.bmp",
            "named": Named(str(tmp_path / f"{color}.bmp")), "picture": picture,
            "palette": palette, "array": np.asarray(picture), "drawn": Drawn(np.asarray(picture)),
        }  # fmt: skip
        for kind, image in each.items():
            kinds.setdefault(kind, []).append(image)
    for kind, (red, blue) in kinds.items():
        assert digest_of_images([red]) != digest_of_images([blue]), kind
        assert digest_of_images([red]) == digest_of_images([red]), kind
    same = {digest_of_images(kinds[kind][:1]) for kind in ("bytes", "memory", "name", "named")}
    assert len(same) == 1  # wherever the file lies


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_who_may_read_a_folder_may_read_what_is_in_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run("head_importance", tmp_path)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.rglob("*") if file.is_file()}
    assert modes == {0o640}


def test_a_manifest_of_something_else_is_left_alone(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    for text in ('["images.csv"]', "{a: 1}"):
        manifest.write_text(text)
        with pytest.raises(ParameterError, match="is not the manifest of a run"):
            run("head_importance", tmp_path)
        assert manifest.read_text() == text


def test_maps_of_models_with_other_patches_are_kept_as_they_are() -> None:
    def models() -> dict[str, nn.Module]:
        torch.manual_seed(0)
        sizes = {"coarse": 16, "fine": 8, "finest": 4}  # 3, 6 and 12 patches a side
        return {
            name: timm.create_model("test_vit", img_size=48, patch_size=size, num_classes=10).eval()
            for name, size in sizes.items()
        }

    picture = Image.new("RGB", (48, 48), "red")
    picture.paste("blue", (10, 5, 30, 22))
    asked: dict[str, Any] = {"images": picture, "target": 3, "methods": ["rollout", "legrad"]}

    def stop(fraction: float, label: str) -> None:
        if fraction > 0.6:
            raise OSError("the disk is gone")

    expected = vaw.compare(models(), **asked)
    with pytest.warns(UserWarning, match="computed for 4 of 6 maps only"):
        start = vaw.compare(models(), **asked, progress=stop)
    assert start.values.shape == (4, 6, 6)
    with pytest.raises(ParameterError, match="start has maps of method 'legrad'"):
        vaw.compare(models(), **{**asked, "methods": "rollout"}, start=start)
    calls: list[float] = []
    gone_on = vaw.compare(
        models(), **asked, start=start, progress=lambda fraction, label: calls.append(fraction)
    )
    assert len(calls) == 2
    assert gone_on.items == expected.items
    torch.testing.assert_close(gone_on.values, expected.values, rtol=0, atol=0)


def test_maps_of_a_trace_of_several_images_go_on() -> None:
    trace = vaw.trace(TINY.build(), images(2), [1, 3])
    asked: dict[str, Any] = {"methods": ["rollout", "daam", "legrad"], "target": [None, 2]}

    def stop(fraction: float, label: str) -> None:
        if fraction > 0.6:
            raise OSError("the disk is gone")

    with pytest.warns(UserWarning, match="computed for 8 of 12 maps only"):
        start = vaw.compare(trace, **asked, progress=stop)
    expected, gone_on = vaw.compare(trace, **asked), vaw.compare(trace, **asked, start=start)
    assert gone_on.items == expected.items
    torch.testing.assert_close(gone_on.values, expected.values, rtol=0, atol=0)
    with pytest.raises(ParameterError, match="no map of image 0 by rollout for 'class 3'"):
        vaw.compare(trace, **{**asked, "target": [3, 2]}, start=start)


def test_more_images_to_go_on_from_than_there_are_are_refused() -> None:
    start = vaw.attention_strength(TINY.build(), images(4))
    with pytest.raises(ParameterError, match="of more than the 3 images"):
        vaw.attention_strength(TINY.build(), images(3), start=start)


def test_a_memory_bank_in_a_file_goes_on_with_labels_as_names(tmp_path: Path) -> None:
    model = TINY.build()
    model.reset_classifier(0)
    pairs = list(zip(images(9), "abcabcabd", strict=True))
    part = vaw.targets.MemoryBank.fit(model, pairs[:5])
    part.save(tmp_path / "bank.safetensors")
    part = vaw.targets.MemoryBank.load(tmp_path / "bank.safetensors")
    bank = vaw.targets.MemoryBank.fit(model, pairs, start=part)
    assert bank.class_names == ["a", "b", "c", "d"]
    assert bank.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 3]
    randomise(model, seed=1)
    with pytest.raises(ParameterError, match="start was made"):
        vaw.targets.MemoryBank.fit(model, pairs, start=part)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("a file of the user")
    with pytest.raises(ParameterError, match="cannot be used as a store"):
        vaw.accuracy(TINY.build(), [(images(1)[0], 0)], store=tmp_path)


def test_a_store_of_other_masks_is_refused(tmp_path: Path) -> None:
    images = [vaw.demo.scene(seed=seed) for seed in range(2)]
    masks, model = [scene.mask for scene in images], vaw.demo.load_model()

    def inside(masks: object, store: Path | None = None) -> np.ndarray:
        result = vaw.evaluate(
            model, [scene.image for scene in images], masks=masks, methods="attention",
            metrics="energy", store=store,
        )  # fmt: skip
        return result.values

    np.testing.assert_array_equal(inside(masks, tmp_path), inside(masks))
    np.testing.assert_array_equal(inside(np.stack(masks[:1] + masks[1:])), inside(masks))
    with pytest.raises(ParameterError, match="its masks is"):
        inside([~mask for mask in masks], tmp_path)
    with pytest.raises(ParameterError, match="as a list"):
        inside(iter(masks), tmp_path / "other")
