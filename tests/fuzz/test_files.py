"""Hostile files are read rightly or refused by name; `make fuzz` tries longer."""

from __future__ import annotations

import sys

import pytest

from tests.fuzz.files import attack


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_every_file_is_read_rightly_or_refused_by_name() -> None:
    count = attack(200, seed=7)
    assert count.failed == []
    assert count.right > 10
    assert count.refused > 100
