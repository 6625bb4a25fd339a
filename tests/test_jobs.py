"""Jobs: latest wins, cancel, errors, and exactly one end each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from vit_attention_widget.session.lanes import Job, Lane
from vit_attention_widget.support.pace import Pace


class Ends:
    """Makes jobs whose ends are counted."""

    def __init__(self) -> None:
        self.ends: dict[str, list[Any]] = {}

    def job(self, name: str, work: Callable[[Any], Any], slot: str = "slot") -> Job:
        ends = self.ends.setdefault(name, [])
        return Job(
            slot,
            name,
            work,
            on_done=lambda result: ends.append(("done", result)),
            on_error=lambda error: ends.append(("error", error)),
            on_cancelled=lambda: ends.append(("cancelled", None)),
        )


@pytest.fixture
def lane():
    lane = Lane("test")
    yield lane
    lane.close()


def test_a_job_ends_once_with_its_result(lane: Lane) -> None:
    ends = Ends()
    lane.submit(ends.job("a", lambda progress: 3))
    assert lane.wait(5)
    assert ends.ends == {"a": [("done", 3)]}


def test_the_latest_of_a_slot_wins(lane: Lane) -> None:
    ends = Ends()
    started, go = threading.Event(), threading.Event()

    def slow(progress: Any) -> int:
        started.set()
        go.wait(5)
        progress(0.5, "half")
        return 1

    lane.submit(ends.job("first", slow))
    assert started.wait(5)
    for name in ("second", "third"):
        lane.submit(ends.job(name, lambda progress: 2))
    go.set()
    assert lane.wait(5)
    assert ends.ends["first"] == [("cancelled", None)]
    assert ends.ends["second"] == [("cancelled", None)]
    assert ends.ends["third"] == [("done", 2)]


def test_slots_do_not_disturb_each_other(lane: Lane) -> None:
    ends = Ends()
    for name in "abc":
        lane.submit(ends.job(name, lambda progress: 0, slot=name))
    assert lane.wait(5)
    assert all(one == [("done", 0)] for one in ends.ends.values())


def test_an_error_is_an_answer_and_the_lane_lives(lane: Lane) -> None:
    ends = Ends()

    def fails(progress: Any) -> None:
        raise ZeroDivisionError("no")

    lane.submit(ends.job("a", fails))
    assert lane.wait(5)
    assert [kind for kind, _ in ends.ends["a"]] == ["error"]
    lane.submit(ends.job("b", lambda progress: 1))
    assert lane.wait(5)
    assert ends.ends["b"] == [("done", 1)]


def test_closing_cancels_what_waits_and_what_comes() -> None:
    lane, ends = Lane("test"), Ends()
    started, go = threading.Event(), threading.Event()

    def slow(progress: Any) -> None:
        started.set()
        go.wait(5)
        progress(0.1, "")

    lane.submit(ends.job("running", slow, slot="a"))
    assert started.wait(5)
    lane.submit(ends.job("waiting", lambda progress: 0, slot="b"))
    lane.close()
    lane.submit(ends.job("late", lambda progress: 0, slot="c"))
    go.set()
    assert lane.wait(5)
    assert {name: one[0][0] for name, one in ends.ends.items()} == {
        "running": "cancelled",
        "waiting": "cancelled",
        "late": "cancelled",
    }


def test_an_error_while_taking_the_result_is_told_and_the_lane_lives(lane: Lane) -> None:
    told: list[BaseException] = []

    def fails(result: int) -> None:
        raise ZeroDivisionError(result)

    lane.submit(Job("a", "a", lambda progress: 1, on_done=fails, on_error=told.append))
    assert lane.wait(5)
    assert isinstance(told[0], ZeroDivisionError)
    lane.submit(Job("a", "a", lambda progress: 2, on_done=told.append))
    assert lane.wait(5)
    assert told[1:] == [2]


def test_a_job_says_how_long_the_rest_takes() -> None:
    seconds = iter(range(100))
    said: list[str] = []

    def work(progress: Callable[[float, str], None]) -> None:
        for head in range(8):
            progress(head / 10, f"removing heads, {head} of 10 heads")
            said.append(job.said)

    job = Job("slot", "importance", work, pace=Pace(lambda: float(next(seconds))))
    lane = Lane("test")
    lane.submit(job)
    assert lane.wait(5)
    lane.close()
    assert said[0] == "removing heads, 0 of 10 heads"
    assert said[-1] == "removing heads, 7 of 10 heads, 3 s left"
