"""``progress=`` in one way everywhere: a callback, tqdm's bar, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import vit_attention_widget as vaw
from tests.faults import TINY, images
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.support import progress as support
from vit_attention_widget.support.pace import Pace, in_time
from vit_attention_widget.support.progress import (
    Counted,
    Progress,
    ProgressLike,
    over_images,
    part_of,
    reporting,
)


class Bar:
    """What is used of tqdm, remembered."""

    made: list[Bar] = []

    def __init__(self, total: int, **_: Any) -> None:
        self.total, self.n, self.label, self.closed = total, 0, "", False
        Bar.made.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self.closed = True

    def set_description_str(self, label: str, refresh: bool = True) -> None:
        self.label = label

    def update(self, n: int) -> None:
        self.n += n


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.made = []
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    return Bar.made


def work(progress: ProgressLike, fail: bool = False) -> None:
    with reporting(progress) as report:
        report(0.25, "first")
        if fail:
            raise ValueError("broken")
        report(0.5, "second")


def steps(progress: ProgressLike) -> Iterator[int]:
    with reporting(progress) as report:
        for i in range(4):
            report(i / 4, f"step {i}")
            yield i


@pytest.mark.parametrize("nothing", [None, False])
def test_nothing_is_said_where_nothing_is_asked_for(nothing: bool | None, bars: list[Bar]) -> None:
    work(nothing)
    assert bars == []


def test_a_callback_is_passed_through(bars: list[Bar]) -> None:
    told: list[tuple[float, str]] = []
    callback: Progress = lambda fraction, label: told.append((fraction, label))  # noqa: E731
    with reporting(callback) as report:
        assert report is callback
    work(callback)
    assert told == [(0.25, "first"), (0.5, "second")]
    assert bars == []


def test_a_callback_may_cancel() -> None:
    def cancel(fraction: float, label: str) -> None:
        raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        work(cancel)


def test_true_opens_one_bar_that_is_full_and_closed_in_the_end(bars: list[Bar]) -> None:
    work(True)
    (bar,) = bars
    assert (bar.n, bar.label, bar.closed) == (bar.total, "second", True)


def test_a_bar_is_closed_and_stays_where_it_was_on_an_error(bars: list[Bar]) -> None:
    with pytest.raises(ValueError, match="broken"):
        work(True, fail=True)
    (bar,) = bars
    assert (bar.n, bar.closed) == (25, True)


def test_a_bar_lives_as_long_as_a_generator(bars: list[Bar]) -> None:
    running = steps(True)
    assert bars == []  # nothing is opened before the first step
    assert next(running) == 0
    assert next(running) == 1
    (bar,) = bars
    assert (bar.n, bar.label, bar.closed) == (25, "step 1", False)
    assert list(running) == [2, 3]
    assert (bar.n, bar.closed) == (100, True)


def test_a_bar_is_closed_with_a_generator_that_is_left(bars: list[Bar]) -> None:
    running = steps(True)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert bars[0].closed


def test_fractions_outside_0_to_1_stay_on_the_bar(bars: list[Bar]) -> None:
    with reporting(True) as report:
        report(1.7, "too far")
        assert bars[0].n == 100
        report(-1.0, "back")
        assert bars[0].n == 0


def test_what_is_no_progress_is_refused() -> None:
    with pytest.raises(ParameterError, match="progress is 'yes': give True"):
        work("yes")  # type: ignore[arg-type]


def test_tqdm_itself_draws_the_percentage_and_the_label(
    capsys: pytest.CaptureFixture[str],
) -> None:
    work(True)
    assert "100%|" in (drawn := capsys.readouterr().err)
    assert "second" in drawn


def test_a_part_of_the_work() -> None:
    told: list[float] = []
    report = part_of(lambda fraction, label: told.append(fraction), 0.25, 0.75)
    for fraction in (0.0, 0.5, 1.0):
        report(fraction, "")
    assert told == [0.25, 0.5, 0.75]


def test_progress_over_images() -> None:
    told: list[tuple[float, str]] = []

    def callback(fraction: float, label: str) -> None:
        told.append((fraction, label))

    over_images(callback, 4, 2, 8)(0.5, "masking")
    over_images(callback, 4, 2, None)(0.5, "masking")
    over_images(callback, 6, 4, 8)(1.0, "masking")
    assert told == [
        (0.625, "masking, image 4 of 8"),
        (0.0, "masking, image 4"),
        (1.0, "masking, image 6 of 8"),
    ]
    assert over_images(callback, 0, 1, 1) is callback
    assert support.no_progress(0.5, "") is None  # type: ignore[func-returns-value]


class Clock:
    """Seconds as they are set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_told_from_what_was_seen_to_be_done() -> None:
    clock = Clock()
    pace, told = Pace(clock), list[float | None]()
    for step in range(13):  # 60 % was there before; 4 % take a second
        told.append(pace.at(0.6 + 0.02 * step))
        clock.now += 0.5
    assert told[:5] == [None] * 5  # too few, too early
    assert told[5:] == pytest.approx([(0.4 - 0.02 * step) / 0.04 for step in range(5, 13)])
    assert pace.at(0.1) is None  # other work
    assert Pace(clock).per_second() is None


def test_nothing_is_told_of_one_moment_or_of_what_stands_still() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert [pace.at(step / 10) for step in range(10)] == [None] * 10
    clock.now += 60
    assert [pace.at(0.9) for _ in range(3)] == pytest.approx([60 * 0.1 / 0.4] * 3)


def test_what_was_slow_at_first_counts_less_and_less() -> None:
    clock = Clock()
    pace = Pace(clock)
    for step in range(10):
        pace.at(0.01 * step)
        clock.now += 10
    for step in range(200):
        left = pace.at(0.1 + 0.004 * step)
        clock.now += 1
    assert left == pytest.approx((1 - 0.1 - 0.004 * 199) / 0.004, rel=0.05)


def test_time_in_words() -> None:
    said = [in_time(seconds) for seconds in (None, 0.0, 12.4, 89, 90, 5399, 7300)]
    assert said == [
        "", ", 1 s left", ", 12 s left", ", 89 s left", ", 2 min left", ", 90 min left",
        ", 2 h left",
    ]  # fmt: skip


def test_a_callback_of_three_is_given_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(), list[float | None]()
    monkeypatch.setattr(support, "Pace", lambda: Pace(clock))

    def callback(fraction: float, label: str, left: float | None) -> None:
        told.append(left)

    with reporting(callback) as report:
        for step in range(7):
            report(step / 10, "")
            clock.now += 1
    assert told[:5] == [None] * 5
    assert told[5:] == pytest.approx([5.0, 4.0])


def test_the_bar_says_the_time_left(bars: list[Bar], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(support, "Pace", lambda: Pace(clock))
    with reporting(True) as report:
        for step in range(7):
            report(step / 10, "masking")
            clock.now += 1
    assert bars[0].label == "masking, 4 s left"


def test_labels_say_how_many_images_a_second_are_computed() -> None:
    clock, told = Clock(), list[str]()
    counted = Counted(lambda fraction, label: told.append(label), Pace(clock))
    for _ in range(7):
        counted(0.5, "masking")
        counted.computed(8)
        clock.now += 2
    assert told == ["masking"] * 6 + ["masking, 4.0 images/s"]


def test_heads_are_counted() -> None:
    told: list[str] = []
    vaw.head_importance(
        TINY.build(), images(1), metric="jsd", progress=lambda fraction, label: told.append(label)
    )
    assert told[-1] == "removing heads of layer 0, 6 of 6 heads"
