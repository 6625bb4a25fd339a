"""What vitest holds the live page to is what Python computes."""

from __future__ import annotations

import json

import live_fixtures
import pytest


def _same(actual: object, expected: object) -> bool:
    if isinstance(expected, dict):
        assert isinstance(actual, dict)
        same_names = actual.keys() == expected.keys()
        return same_names and all(_same(actual[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        assert isinstance(actual, list)
        return len(actual) == len(expected) and all(map(_same, actual, expected))
    return bool(actual == pytest.approx(expected, abs=1e-5))


def test_fixtures_are_what_python_computes() -> None:
    written = json.loads(live_fixtures.OUTPUT.read_text("utf-8"))
    assert _same(written, json.loads(live_fixtures.written())), "run python tests/live_fixtures.py"
