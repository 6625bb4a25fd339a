"""After a storm of clicks all is as if there had been none; `make fuzz` tries longer."""

from __future__ import annotations

import pytest

from tests.fuzz.storms import attack


@pytest.mark.slow
def test_after_every_storm_what_is_shown_is_what_is_selected() -> None:
    count = attack(10, seed=7)
    assert count.failed == []
    assert count.right == 10
