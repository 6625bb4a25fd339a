"""``progress=`` in one way everywhere: a callback, tqdm's bar, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.support import progress as support
from vit_attention_widget.support.progress import (
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
