"""Long runs go on from a folder, also after their process was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vit_attention_widget as vaw
from tests.faults import FUNCTIONS, TINY, images, whole
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.runs import folder
from vit_attention_widget.runs.manifest import digest_of_images

RESUMED = [name for name in FUNCTIONS if name != "compare"]
QUICK = ("head_importance",)
NAMES = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in RESUMED]

CHILD = """
import sys
from tests.faults import FUNCTIONS, TINY, images
from vit_attention_widget.runs import folder
folder._EVERY = 0.0
name, where, stop = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls = 0
def report(fraction, label):
    global calls
    calls += 1
    if calls == stop:
        print("here", flush=True)
        sys.stdin.read()
function = FUNCTIONS[name]
function.run(TINY.build(), images(function.count), resume=where, progress=report)
print("done", flush=True)
"""


@pytest.fixture(autouse=True)
def _write_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_EVERY", 0.0)


def run(name: str, where: Path, calls: list[float] | None = None, **more: Any) -> Any:
    function = FUNCTIONS[name]
    if calls is not None:
        more["progress"] = lambda fraction, label: calls.append(fraction)
    return function.run(TINY.build(), images(function.count), resume=where, **more)


def same(name: str, result: Any) -> None:
    rows = FUNCTIONS[name].rows
    torch.testing.assert_close(rows(result), rows(whole(name)), rtol=0, atol=0, equal_nan=True)
    assert result.complete


def progress_calls(name: str) -> int:
    calls: list[float] = []
    function = FUNCTIONS[name]
    function.run(
        TINY.build(),
        images(function.count),
        progress=lambda fraction, label: calls.append(fraction),
    )
    return len(calls)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "share", [0.5, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.3, 0.9))]
)
def test_a_killed_process_goes_on(name: str, share: float, tmp_path: Path) -> None:
    stop = max(2, round(share * progress_calls(name)))
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, name, str(tmp_path), str(stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**environment, "PYTHONPATH": str(Path(vaw.__file__).parent.parent)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert list(tmp_path.rglob("*.safetensors"))
    calls: list[float] = []
    same(name, run(name, tmp_path, calls))
    assert len(calls) < progress_calls(name)
    again: list[float] = []
    same(name, run(name, tmp_path, again))  # nothing is left to do
    assert len(again) <= len(calls)


def test_damaged_parts_are_computed_again(tmp_path: Path) -> None:
    run("head_importance", tmp_path)
    first, second, *_ = sorted(tmp_path.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:-5])
    second.write_bytes(b"")
    calls: list[float] = []
    same("head_importance", run("head_importance", tmp_path, calls))
    assert len(calls) == 6  # two batches of three layers


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    run("head_importance", tmp_path)
    data = images(7)
    options: dict[str, Any] = {"max_batch": 4, "resume": tmp_path}
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
    with pytest.raises(ParameterError, match=r"of other images: image 0 and the 1"):
        vaw.head_importance(TINY.build(), data[::-1], metric=metric, **options)
    with pytest.raises(ParameterError, match="its function is head_importance"):
        vaw.accuracy(TINY.build(), data, [0] * 7, resume=tmp_path)
    start = whole("head_importance")
    with pytest.raises(ParameterError, match="give one"):
        vaw.head_importance(TINY.build(), data, metric=metric, start=start, **options)


@pytest.mark.slow
def test_two_runs_at_once_do_not_harm_a_folder(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, "head_importance", str(tmp_path), "-1"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]
    assert [child.communicate()[0] for child in children] == ["done\n", "done\n"]
    calls: list[float] = []
    same("head_importance", run("head_importance", tmp_path, calls))
    assert calls == []
    assert not list(tmp_path.glob(".*.part"))


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


def test_what_traces_mask_and_functions_do_tells_runs_apart(tmp_path: Path) -> None:
    model, pictures = TINY.build(), images(2)
    whole_trace = vaw.trace(model, pictures, gradients=False)
    masked_trace = vaw.trace(model, pictures, head_mask={0: [0]}, gradients=False)
    vaw.attention_strength(whole_trace, resume=tmp_path / "strength")
    with pytest.raises(ParameterError, match="its head_mask is"):
        vaw.attention_strength(masked_trace, resume=tmp_path / "strength")
    where = tmp_path / "importance"
    vaw.head_importance(model, pictures, lambda logits: logits[:, 0], metric="taylor", resume=where)
    vaw.head_importance(model, pictures, lambda logits: logits[:, 0], metric="taylor", resume=where)
    with pytest.raises(ParameterError, match="its target is"):
        vaw.head_importance(
            model, pictures, lambda logits: logits[:, 1], metric="taylor", resume=where
        )


def test_a_file_that_was_written_over_is_another_image(tmp_path: Path) -> None:
    file = tmp_path / "image.bmp"
    digests = []
    for color in ("red", "blue"):
        Image.new("RGB", (8, 8), color).save(file)  # of one size
        digests.append(digest_of_images([str(file)]))
    assert digests[0] != digests[1]
