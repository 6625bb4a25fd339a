"""Batches that an executor computes: the same numbers, whatever becomes of its workers."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import distributed
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import vit_attention_widget as vaw
from benchmarks import workers
from tests.faults import FUNCTIONS, TINY, images, whole
from vit_attention_widget.errors import ImageError, ParameterError
from vit_attention_widget.patterns.collecting import CollectedHeads, collect_heads
from vit_attention_widget.runs import elsewhere, sent_model
from vit_attention_widget.runs.long_run import How, long_run

NAMES = (
    "head_importance",
    "head_interactions",
    "evaluate",
    "attention_strength",
    "image_overview",
    "MemoryBank.fit",
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # as workers have: sums are rounded alike


@pytest.fixture(scope="module")
def dask() -> Iterator[distributed.Client]:
    with workers.cluster(2) as client:
        yield client


def on_dask(client: distributed.Client) -> Executor:
    executor: Executor = client.get_executor(pure=False, retries=2)
    return executor


def same(name: str, result: Any) -> None:
    rows = FUNCTIONS[name].rows
    torch.testing.assert_close(rows(result), rows(whole(name)), rtol=0, atol=0, equal_nan=True)
    assert result.complete


def run(name: str, executor: Executor, **more: Any) -> Any:
    function = FUNCTIONS[name]
    return function.run(TINY.build(), images(function.count), executor=executor, **more)


@pytest.mark.parametrize("name", NAMES)
def test_threads_compute_the_same(name: str) -> None:
    fractions: list[float] = []
    with ThreadPoolExecutor(2) as threads:
        same(name, run(name, threads, progress=lambda fraction, _: fractions.append(fraction)))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_heads_are_pooled_the_same() -> None:
    def collected(executor: Executor | None) -> CollectedHeads:
        vit, how = vaw.describe(TINY.build()), How(executor=executor)
        with long_run("", vit, CollectedHeads, CollectedHeads.joined, [], how, 20) as run:
            return run.kept.after(collect_heads(vit, images(20), run, run.report))

    with ThreadPoolExecutor(2) as threads:
        there, here = collected(threads), collected(None)
    assert there.n_images == 20
    for family, pooled in here.families.items():
        assert torch.equal(there.families[family].vectors, pooled.vectors)
        assert torch.equal(there.families[family].heads, pooled.heads)


@pytest.mark.slow
class TestDask:
    @pytest.mark.parametrize("name", ["head_importance", "evaluate", "image_overview"])
    def test_processes_compute_the_same(self, name: str, dask: distributed.Client) -> None:
        same(name, run(name, on_dask(dask)))

    def test_masks_go_with_their_images(self, dask: distributed.Client) -> None:
        masks = [torch.zeros(32, 32) for _ in range(5)]
        for number, mask in enumerate(masks):
            mask[: 4 + 4 * number, 3:20] = 1
        asked: dict[str, Any] = {
            "masks": masks, "methods": "rollout", "metrics": "iou_mean", "max_batch": 2,
        }  # fmt: skip
        expected = vaw.evaluate(TINY.build(), images(5), **asked)
        evaluation = vaw.evaluate(TINY.build(), images(5), **asked, executor=on_dask(dask))
        assert torch.equal(evaluation.values, expected.values)

    def test_a_worker_loads_the_model_once(self, dask: distributed.Client) -> None:
        def loaded() -> dict[str, int]:
            return {name: id(vit) for name, vit in sent_model._loaded.items()}

        seen = []
        for _ in range(2):
            run("MemoryBank.fit", on_dask(dask))
            seen.append(dask.run(loaded))
        assert all(len(models) == 1 for models in seen[1].values())
        for worker, models in seen[0].items():
            assert models.items() <= seen[1][worker].items()

    def test_of_a_worker_that_is_killed_nothing_is_lost(
        self, dask: distributed.Client, tmp_path: Path
    ) -> None:
        pids = list(dask.run(os.getpid).values())[:1]

        def kill(fraction: float, label: str) -> None:
            if pids:
                os.kill(pids.pop(), signal.SIGKILL)

        result = run("head_importance", on_dask(dask), progress=kill, store=tmp_path)
        same("head_importance", result)
        assert not pids
        assert not list(tmp_path.glob("sent-*"))

    def test_a_package_that_workers_lack_is_named(
        self, dask: distributed.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = ModuleType("only_here")
        exec("import torch\nclass Extra(torch.nn.Module): pass", module.__dict__)
        exec("class Picture: read = lambda self, n: b''", module.__dict__)
        monkeypatch.setitem(sys.modules, "only_here", module)
        model = TINY.build()
        model.extra = module.Extra()
        with pytest.raises(ParameterError, match=r"process \d+\) cannot make .*'only_here'"):
            vaw.attention_strength(model, images(8), executor=on_dask(dask))
        pictures = [module.Picture() for _ in range(8)]
        with pytest.raises(ParameterError, match="A worker cannot import only_here"):
            vaw.attention_strength(TINY.build(), pictures, executor=on_dask(dask))
        with pytest.raises(ParameterError, match=r"client.get_executor\(pure=False"):
            vaw.attention_strength(model, images(8), executor=dask)  # type: ignore[arg-type]

    def test_an_image_that_kills_each_worker_is_left_out(
        self, dask: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dask.cluster.scheduler, "allowed_failures", 0)
        data: list[Any] = images(20)
        data[10] = Poison()
        executor = dask.get_executor(pure=False)
        with pytest.warns(UserWarning, match="1 image could not be computed and is skipped"):
            result = vaw.attention_strength(TINY.build(), data, executor=executor, store=tmp_path)
        assert list(result.skipped) == [10]
        del data[10]
        expected = vaw.attention_strength(TINY.build(), data)
        torch.testing.assert_close(result.profile, expected.profile)

    def test_a_pool_of_processes_is_renewed_and_the_image_that_ends_it_left_out(
        self, dask: distributed.Client
    ) -> None:
        data: list[Any] = images(16)
        data[10] = Poison()
        context = distributed.utils.get_mp_context()  # whose server has imported the package
        with (
            ProcessPoolExecutor(2, context) as pool,
            pytest.warns(UserWarning, match="1 image could not be computed and is skipped"),
        ):
            result = vaw.attention_strength(TINY.build(), data, executor=pool)
        assert list(result.skipped) == [10]
        assert "while image 10 was computed (BrokenProcessPool" in result.skipped[10]
        del data[10]
        expected = vaw.attention_strength(TINY.build(), data)
        torch.testing.assert_close(result.profile, expected.profile)


class Poison:
    """A file whose reading ends any process but the one that made it."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def read(self, size: int = -1) -> bytes:
        if os.getpid() != self.pid:
            os.kill(os.getpid(), signal.SIGKILL)
        return b""


class Counting(Executor):
    """Computes when the result is asked for; counts what waits."""

    def __init__(self, error: Callable[[int], BaseException | None] = lambda _: None) -> None:
        self.given = self.waiting = self.most = 0
        self._error = error

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        number, executor = self.given, self
        self.given += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)

        class Late(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                executor.waiting -= 1
                if (error := executor._error(number)) is not None:
                    raise error
                return task(*args, **kwargs)

        return Late()


def test_without_dask_executors_of_threads_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("dask", "distributed"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as threads:
        same("attention_strength", run("attention_strength", threads))


def test_only_some_batches_are_given_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_AHEAD", 2)
    executor = Counting()
    vaw.attention_strength(TINY.build(), images(40), executor=executor)
    assert (executor.given, executor.most) == (5, 2)


def test_what_is_known_is_not_given(tmp_path: Path) -> None:
    vaw.attention_strength(TINY.build(), images(16), store=tmp_path)
    executor = Counting()
    strength = vaw.attention_strength(TINY.build(), images(40), store=tmp_path, executor=executor)
    assert executor.given == 3
    whole = vaw.attention_strength(TINY.build(), images(40))
    torch.testing.assert_close(strength.profile, whole.profile, rtol=0, atol=0)


def test_a_pool_that_breaks_says_of_which_images_and_goes_on(tmp_path: Path) -> None:
    def breaks(number: int) -> BaseException | None:
        return BrokenExecutor("terminated abruptly") if number >= 2 else None

    said = r"images 16 to 19 were computed \(BrokenExecutor: terminated abruptly"
    with pytest.warns(UserWarning, match=said):
        partial = run("attention_strength", Counting(breaks), store=tmp_path)
    assert len(partial) == 16
    executor = Counting()
    same("attention_strength", run("attention_strength", executor, store=tmp_path))
    assert executor.given == 1


def test_images_that_end_each_of_dasks_workers_are_named() -> None:
    def killed(number: int) -> BaseException | None:
        worker: Any = SimpleNamespace(address="tcp://one")
        return distributed.KilledWorker("task", worker, 3) if number == 1 else None

    with pytest.warns(UserWarning, match="Workers ended while images 8 to 15 were computed"):
        partial = run("attention_strength", Counting(killed), on_error="raise")
    assert len(partial) == 8


def test_a_bad_picture_is_named_and_what_came_after_it_is_kept(tmp_path: Path) -> None:
    pictures: list[Any] = [Image.new("RGB", (32, 32), (number, 0, 0)) for number in range(24)]
    bad = [*pictures[:3], "no such picture.png", *pictures[4:]]
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(ImageError, match=r"Image 3: .*no such picture.png"),
    ):
        vaw.attention_strength(
            TINY.build(), bad, store=tmp_path, executor=Eager(threads), on_error="raise"
        )
    executor = Counting()
    vaw.attention_strength(TINY.build(), pictures, store=tmp_path, executor=executor)
    assert executor.given == 1


class Eager(Executor):
    """Waits for each task as it is given."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self._executor.submit(task, *args, **kwargs)
        future.exception()
        return future


def test_what_cannot_be_sent_is_refused() -> None:
    class Local(torch.nn.Module):
        pass

    model = TINY.build()
    model.extra = Local()
    with pytest.raises(ParameterError, match="cannot be sent to other processes"):
        sent_model.SentModel(vaw.describe(model), Path()).__getstate__()
    with pytest.raises(ParameterError, match="executor is a str: give one"):
        vaw.attention_strength(model, images(2), executor="dask")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="executor was given beside a trace"):
        vaw.attention_strength(vaw.trace(model, images(1)), executor=Counting())
    lost = sent_model.SentModel.__new__(sent_model.SentModel)
    lost.__setstate__("/nowhere/model.pickle")
    with pytest.raises(ParameterError, match="folder that all workers see"):
        lost.vit.forward(torch.zeros(1))


def test_a_worker_loads_no_other_file_than_what_was_sent(tmp_path: Path) -> None:
    state = sent_model.SentModel(vaw.describe(TINY.build()), tmp_path).__getstate__()
    Path(state).write_bytes(pickle.dumps(Written(tmp_path / "it ran")))
    worker = sent_model.SentModel.__new__(sent_model.SentModel)
    worker.__setstate__(state)
    with pytest.raises(ParameterError, match="is not the model that was sent"):
        worker.vit.forward(torch.zeros(1))
    assert not (tmp_path / "it ran").exists()


def test_a_worker_takes_no_other_weights_than_those_that_were_sent(tmp_path: Path) -> None:
    state = sent_model.SentModel(vaw.describe(TINY.build()), tmp_path).__getstate__()
    weights = Path(state).with_suffix(".safetensors")
    others = {name: tensor + 1 for name, tensor in load_file(weights).items()}
    worker = sent_model.SentModel.__new__(sent_model.SentModel)
    worker.__setstate__(state)
    sent_model._loaded.clear()
    save_file(others, weights)
    with pytest.raises(ParameterError, match="are not those that were sent"):
        _ = worker.vit
    weights.write_bytes(b"damaged")
    with pytest.raises(ParameterError, match="cannot read the model"):
        _ = worker.vit


class Written:
    """What makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.path,)
