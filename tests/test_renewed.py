"""A pool of processes that an image ends: others of its kind go on, and the image is named."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Collection
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import vit_attention_widget as vaw
from tests.faults import TINY, images
from vit_attention_widget.runs import renewed
from vit_attention_widget.runs.work import load


class Pool(Executor):
    """Computes at once, until it is given one of some images: then it takes no more."""

    _max_workers = 2

    def __init__(self, poison: Collection[int] = (), *, starts: bool = True) -> None:
        self.poison, self.starts, self.is_broken = poison, starts, False
        self.given = list[range]()

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.is_broken:
            raise BrokenExecutor("terminated abruptly")
        future: Future[Any] = Future()
        if task is load:
            self.is_broken = not self.starts
        else:
            batch = args[0].what[2]
            self.given.append(range(batch.first, batch.first + len(batch)))
            self.is_broken = any(number in self.given[-1] for number in self.poison)
        if self.is_broken:
            future.set_exception(BrokenExecutor("terminated abruptly"))
        else:
            future.set_result(task(*args, **kwargs))
        return future


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    """The pools of a run, one after another; each is like the one before."""
    made = list[Pool]()

    def like(pool: Executor) -> Executor | None:
        assert isinstance(pool, Pool)
        made.append(Pool(pool.poison, starts=pool.starts))
        return made[-1]

    monkeypatch.setattr(renewed, "pool_like", like)
    return made


def strength(executor: Executor, **more: Any) -> vaw.AttentionStrength:
    return vaw.attention_strength(TINY.build(), images(40), executor=executor, **more)


def of_others(*numbers: int) -> torch.Tensor:
    others = [image for number, image in enumerate(images(40)) if number not in numbers]
    return vaw.attention_strength(TINY.build(), others).profile


def test_images_that_end_it_are_left_out_and_named(pools: list[Pool], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="2 images could not be computed and are skipped"):
        result = strength(Pool([10, 21]), store=tmp_path)
    assert list(result.skipped) == [10, 21]
    says = "while image 21 was computed (BrokenExecutor: terminated"
    assert says in result.skipped[21]
    torch.testing.assert_close(result.profile, of_others(10, 21))
    after, _, last = pools[0], pools[1], pools[-1]
    assert after.given == [range(8, 16)]  # alone, and then each of its images
    assert last.given[-1] == range(32, 40)  # which no process had begun
    again = Pool([10, 21])
    with pytest.warns(UserWarning, match="2 images"):
        strength(again, store=tmp_path)
    assert again.given == []


def test_a_pool_that_another_call_left_broken_is_of_use(pools: list[Pool]) -> None:
    broken = Pool()
    broken.is_broken = True
    torch.testing.assert_close(strength(broken).profile, of_others())


def test_a_pool_that_ends_with_any_image_is_no_images_fault(pools: list[Pool]) -> None:
    with pytest.raises(RuntimeError, match=r"end as they start or load .*__main__"):
        strength(Pool([3], starts=False))
    assert len(pools) == 1


def test_images_that_were_under_way_are_named(pools: list[Pool], tmp_path: Path) -> None:
    says = r"while images 8 to 31 were computed"  # two processes, and what is handed out ahead
    with pytest.warns(UserWarning, match=says):
        partial = strength(Pool([10]), store=tmp_path, on_error="raise")
    assert len(partial) == 8
    assert not pools


def test_a_new_pool_is_as_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, context, initializer=print, initargs=(1,)) as pool:
        like: Any = renewed.pool_like(pool)
        assert type(like) is ProcessPoolExecutor
        assert (like._max_workers, like._mp_context) == (3, context)
        assert (like._initializer, like._initargs) == (print, (1,))
        monkeypatch.delattr(pool, "_mp_context")  # as another Python may have it
        assert renewed.pool_like(pool) is None

    class Mine(ProcessPoolExecutor):
        pass

    assert renewed.pool_like(Mine(1)) is None
