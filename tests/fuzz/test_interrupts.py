"""Ctrl-C leaves nothing behind; `make fuzz` tries longer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no interval timer")
def test_ctrl_c_at_any_moment_leaves_modes_and_hooks_as_they_were() -> None:
    run = [sys.executable, "-m", "tests.fuzz.interrupts", "--times", "40", "--seed", "7"]
    count = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert count["interrupted"] > 100
    assert count["residue"] == []
    assert count["failed"] == []
