"""What is kept of a run: how often its parts are joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vit_attention_widget.runs.kept import Kept

ROWS, AT_ONCE, STEPS = 50_000, 5, 3
FEW = 64


@dataclass(frozen=True)
class Rows:
    """Some rows, of which one after another becomes known."""

    count: int
    complete: bool = True

    def __len__(self) -> int:
        return self.count


class Joins:
    """Makes a number of rows of parts, and counts both."""

    def __init__(self) -> None:
        self.parts = self.calls = 0
        self.are_whole: list[bool] = []

    def __call__(self, parts: Sequence[Rows]) -> int:
        self.parts += len(parts)
        self.calls += 1
        self.are_whole.append(parts[-1].complete)
        return sum(map(len, parts))


def run(kept: Kept[Rows, int], rows: int) -> Iterator[None]:
    for first in range(0, rows, AT_ONCE):
        for step in range(STEPS):
            kept.put(first, Rows(AT_ONCE, step == STEPS - 1), range(AT_ONCE))
            yield


def test_few_parts_are_joined_after_each_step() -> None:
    joins = Joins()
    kept = Kept[Rows, int](joins, total=FEW * AT_ONCE)
    known = list(kept.each(run(kept, FEW * AT_ONCE)))
    assert known == [AT_ONCE * (1 + step // STEPS) for step in range(FEW * STEPS)]


def test_very_many_rows_are_joined_a_limited_number_of_times() -> None:
    """However many there are: to join all of them after each step would take ever longer."""
    joins = Joins()
    kept = Kept[Rows, int](joins, total=ROWS)
    known = list(kept.each(run(kept, ROWS)))
    parts = ROWS // AT_ONCE
    assert known == sorted(known)
    assert known[-1] == ROWS
    # Each join is of at least 65/64 as many parts as the one before; before that, of few.
    assert joins.parts <= STEPS * FEW**2 + (FEW + 1) * parts + FEW
    later = joins.are_whole[FEW * STEPS :]
    assert len(later) > 250  # what is known is shown often all the same
    assert all(later)


def test_the_last_step_is_told_though_it_is_no_whole_part() -> None:
    kept = Kept[Rows, int](Joins())

    def ended_early() -> Iterator[None]:
        yield from run(kept, 1000 * AT_ONCE)
        kept.put(1000 * AT_ONCE, Rows(AT_ONCE, complete=False), range(AT_ONCE))
        yield

    assert list(kept.each(ended_early()))[-1] == 1001 * AT_ONCE
