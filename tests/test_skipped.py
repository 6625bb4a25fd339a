"""Images that cannot be computed are left out and named, and the run goes on with the others."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import numpy as np
import pytest
import torch
import xarray
from PIL import Image

import vit_attention_widget as vaw
from tests.faults import FUNCTIONS, TINY, _rows_of_patterns, images, progress_calls, whole
from vit_attention_widget.comparison.result import MapOf
from vit_attention_widget.errors import ImageError, ParameterError
from vit_attention_widget.patterns.collecting import CollectedHeads
from vit_attention_widget.results.unfinished import warn_if_skipped
from vit_attention_widget.runs import folder

NAMES = ("head_importance", "evaluate", "attention_strength", "image_overview", "MemoryBank.fit")
BAD = (0, 3, 4)


@pytest.fixture(autouse=True)
def _chunks_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_CHUNK", 16)


def run(name: str, data: Any, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FUNCTIONS[name].run(TINY.build(), data, **more)


def some_bad(count: int, bad: tuple[int, ...] = BAD) -> list[Any]:
    return [f"no {n}.png" if n in bad else each for n, each in enumerate(images(count))]


def the_others(count: int, bad: tuple[int, ...] = BAD) -> list[Any]:
    return [each for n, each in enumerate(images(count)) if n not in bad]


@pytest.mark.parametrize("name", NAMES)
def test_the_others_are_computed(name: str, tmp_path: Path) -> None:
    function = FUNCTIONS[name]
    more = {"store": tmp_path} if name in ("evaluate", "image_overview") else {}
    result = run(name, some_bad(function.count), on_error="skip", **more)
    assert list(result.skipped) == list(BAD)
    assert "no 3.png" in result.skipped[3]
    assert result.complete
    assert result.how_far.endswith("images, 3 skipped")
    if name not in ("MemoryBank.fit", "evaluate"):  # labels and noise are by number
        expected = run(name, the_others(function.count))
        torch.testing.assert_close(function.rows(result), function.rows(expected))


def test_patterns_are_learned_from_the_others() -> None:
    patterns = run("AttentionPatterns.fit", some_bad(20), on_error="skip")
    assert list(patterns.skipped) == list(BAD)
    expected = _rows_of_patterns(run("AttentionPatterns.fit", the_others(20)))
    assert patterns.values.shape == expected.shape


def test_masks_and_labels_stay_with_their_images() -> None:
    masks = [torch.zeros(32, 32) for _ in range(6)]
    for number, mask in enumerate(masks):
        mask[: 4 + 4 * number, 3:20] = 1
    asked: dict[str, Any] = {"methods": "rollout", "metrics": "iou_mean", "max_batch": 2}
    for executor in (None, Tasks()):
        with pytest.warns(UserWarning, match="3 images could not"):
            result = vaw.evaluate(
                TINY.build(), some_bad(6), target=[0, 1, 2, 0, 1, 2], masks=masks,
                on_error="skip", executor=executor, **asked,
            )  # fmt: skip
        expected = vaw.evaluate(
            TINY.build(),
            the_others(6),
            target=[1, 2, 2],
            masks=[masks[n] for n in (1, 2, 5)],
            **asked,
        )
        torch.testing.assert_close(result.values[:, 0], expected.values[:, 0])


def test_skipped_images_are_warned_of_and_numbered(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"3 images could not .* such as image 0: .*no 0.png"):
        strength = vaw.attention_strength(TINY.build(), some_bad(20), on_error="skip")
    table = strength.to_dataframe()
    assert sorted(set(table["image"])) == [n for n in range(20) if n not in BAD]
    importance = run("head_importance", some_bad(7), on_error="skip")
    importance.save(tmp_path / "importance")
    assert vaw.HeadImportance.load(tmp_path / "importance").skipped == importance.skipped


@pytest.mark.parametrize("name", ["head_importance", "attention_strength"])
def test_the_last_images_are_named_too(name: str) -> None:
    result = run(name, some_bad(5, (3, 4)), on_error="skip")
    assert list(result.skipped) == [3, 4]
    assert result.total == 5


def test_methods_that_do_not_work_are_no_images() -> None:
    item = MapOf("rollout", "cat", 0, 0, "model")
    compared = vaw.Comparison.of(torch.rand(1, 2, 2), [item], {"daam": "no classifier"})
    assert compared.how_far == "1 map"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_skipped(compared)


def test_without_being_asked_it_ends_there() -> None:
    with pytest.raises(ImageError, match="Image 0: "):
        run("head_importance", some_bad(7))
    with pytest.raises(ParameterError, match="choose from raise, skip, retry"):
        run("head_importance", some_bad(7), on_error="ignore")


def test_a_data_set_that_raises_is_gone_on_with() -> None:
    class Broken:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> object:
            if index in BAD:
                raise OSError("the file is cut off")
            return images(6)[index], index % 3

    with pytest.warns(UserWarning, match="3 images could not"):
        result = vaw.head_importance(TINY.build(), Broken(), metric="jsd", on_error="skip")
    assert list(result.skipped) == list(BAD)
    assert "cut off" in result.skipped[0]
    assert result.labels.tolist() == [1, 2, 2]  # type: ignore[union-attr]


def test_a_store_names_them_and_does_not_try_them_again(tmp_path: Path) -> None:
    bad = (0, 3, 17)
    pictures = [tmp_path / f"{n}.png" for n in range(20)]
    for n, picture in enumerate(pictures):
        if n not in bad:
            Image.new("RGB", (32, 32), (n, 0, 0)).save(picture)
    store = tmp_path / "store"
    result = run("attention_strength", pictures, on_error="skip", store=store)
    assert list(result.skipped) == list(bad)
    assert list(json.loads((store / "manifest.json").read_text())["skipped"]) == ["0", "3", "17"]

    read = xarray.open_zarr(store).load()
    rows = [n for n in range(20) if n not in bad]
    assert read.sizes["image"] == 20
    np.testing.assert_array_equal(read["distance"][rows], result.distance)
    assert np.isnan(read["distance"][list(bad)]).all()
    assert list(read.attrs["skipped"]) == ["0", "3", "17"]

    tasks = Tasks()
    again = run("attention_strength", pictures, executor=tasks, store=store)
    assert tasks.given == 0
    assert again.skipped == result.skipped

    Image.new("RGB", (32, 32), (3, 0, 0)).save(pictures[3])  # repaired: another image
    repaired = run("attention_strength", pictures, executor=tasks, store=store)
    assert tasks.given == 1
    assert list(repaired.skipped) == [0, 17]
    assert list(json.loads((store / "manifest.json").read_text())["skipped"]) == ["0", "17"]
    expected = run("attention_strength", pictures, on_error="skip")
    torch.testing.assert_close(repaired.distance, expected.distance)
    read = xarray.open_zarr(store).load()
    np.testing.assert_array_equal(read["distance"][3], repaired.distance[2])
    assert list(read.attrs["skipped"]) == ["0", "17"]

    run("attention_strength", pictures, executor=tasks, store=store, on_error="retry")
    assert tasks.given == 3


def test_it_goes_on_from_a_result_with_gaps() -> None:
    data = some_bad(20, (0, 3, 9))
    for name in ("attention_strength", "head_importance"):
        part = run(name, data[:8], on_error="skip")
        result = run(name, data, on_error="skip", start=part)
        assert list(result.skipped) == [0, 3, 9]
        rows = FUNCTIONS[name].rows
        expected = rows(run(name, the_others(20, (0, 3, 9))))
        torch.testing.assert_close(rows(result), expected)


@pytest.mark.parametrize("name", [*NAMES, "head_interactions", "AttentionPatterns.fit"])
def test_what_a_result_lacks_is_computed_where_it_is_gone_on_from(
    name: str, tmp_path: Path
) -> None:
    function, calls = FUNCTIONS[name], list[float]()
    part = _lacking_some(name)
    if name in ("evaluate", "attention_strength"):  # in a file parts are one
        part.save(tmp_path / "part")
        part = type(part).load(tmp_path / "part")
    for on_error in ("skip", "retry"):
        result = run(
            name, images(function.count), start=part, on_error=on_error,
            progress=lambda fraction, _: calls.append(fraction),
        )  # fmt: skip
        assert list(result.skipped) == (list(BAD) if on_error == "skip" else [])
    assert result.complete
    assert len(calls) < 2 * progress_calls(name)
    rows = function.rows(result), function.rows(whole(name))
    torch.testing.assert_close(*rows, equal_nan=True)


def _lacking_some(name: str) -> Any:
    """What a function returns, or keeps if it is stopped, where some images cannot be read."""
    count = FUNCTIONS[name].count
    if name != "AttentionPatterns.fit":
        return run(name, some_bad(count), on_error="skip")
    collected = CollectedHeads.of_trace(vaw.trace(TINY.build(), torch.stack(the_others(count))))
    return replace(collected, skipped=dict.fromkeys(BAD, "it cannot be read"))


def test_where_all_fail_it_is_no_images_fault(tmp_path: Path) -> None:
    for number, executor in ((2, None), (40, None), (40, Tasks())):
        missing: list[Any] = [f"no {n}.png" for n in range(number)]
        with pytest.raises(ImageError, match=r"no \d+.png"):
            run("attention_strength", missing, executor=executor, store=tmp_path, on_error="skip")
    assert not list((tmp_path / "parts").iterdir())


class Tasks(Executor):
    """Computes at once; ``error`` says what comes of some images."""

    def __init__(self, error: Callable[[Any], Exception | None] = lambda _: None) -> None:
        self.given, self._error = 0, error

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given += 1
        future: Future[Any] = Future()
        try:
            if (error := self._error(args[0].what[2])) is not None:
                raise error
            future.set_result(task(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def killer_of(number: int) -> Callable[[Any], Exception | None]:
    worker: Any = SimpleNamespace(address="tcp://one")

    def error(batch: Any) -> Exception | None:
        if batch.first <= number < batch.first + len(batch):
            return distributed.KilledWorker("task", worker, 3)
        return None

    return error


def test_an_image_that_kills_its_workers_is_found_in_its_batch() -> None:
    tasks = Tasks(killer_of(11))
    result = run("attention_strength", images(20), executor=tasks)
    assert tasks.given == 3 + 8
    assert list(result.skipped) == [11]
    assert "Workers ended while image 11 was computed" in result.skipped[11]
    assert "KilledWorker" in result.skipped[11]
    expected = run("attention_strength", the_others(20, (11,)))
    torch.testing.assert_close(result.profile, expected.profile)


def test_any_error_of_a_worker_is_of_its_image() -> None:
    def fails(batch: Any) -> Exception | None:
        return OSError("stale handle") if batch.first <= 5 < batch.first + len(batch) else None

    result = run("attention_strength", images(20), executor=Tasks(fails))
    assert result.skipped == {5: "OSError: stale handle"}
