"""Malformed messages and selections are answered or refused; `make fuzz` tries longer."""

from __future__ import annotations

import pytest

from tests.fuzz.messages import attack


@pytest.mark.slow
def test_every_message_is_answered_once_and_every_selection_is_right_or_refused() -> None:
    count = attack(150, seed=7)
    assert count.failed == []
    assert count.right > 50
    assert count.refused > 10
