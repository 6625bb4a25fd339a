"""Hostile pictures end in a right result or in one error; `make fuzz` tries longer."""

from __future__ import annotations

import pytest

from tests.fuzz.pictures import attack

resource = pytest.importorskip("resource")


@pytest.mark.slow
def test_every_picture_is_right_or_refused() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = attack(200, seed=7)
    assert count.failed == []
    assert count.right > 50
    assert count.refused > 50
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 3 << 20  # kB
