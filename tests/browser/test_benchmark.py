"""The benchmark of pages runs at a tiny size; no time is asserted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).parents[2]))

import vit_attention_widget as vaw
from benchmarks import browser, exported, large, pages

pytestmark = pytest.mark.browser

TINY = pages.Shape(
    "vit_tiny_patch16_224", {"img_size": 64, "depth": 3, "embed_dim": 48, "num_heads": 3}
)
OPTIONS = argparse.Namespace(rounds=1, clicks=3, scrub_ms=100)


def test_bytes_are_counted() -> None:
    first, everything, matrices = browser.amounts(TINY)
    assert first.measured.endswith("MB")
    assert float(everything.measured.split()[0]) >= float(first.measured.split()[0]) > 0
    assert matrices.goal == ""


def test_pages_are_painted_clicked_and_scrubbed(chromium: Browser) -> None:
    rows = list(pages.without_kernel(TINY, chromium, OPTIONS))
    assert len(rows) == 6
    assert all(row.measured for row in rows)


def test_exported_pages_are_weighed_opened_and_clicked(chromium: Browser) -> None:
    explorer = vaw.Explorer(TINY.model(), pages.photograph(), metric="taylor")
    rows = list(exported.table(explorer, chromium, OPTIONS))
    goals = ["<= 8 MB", "<= 1 MB", "0", "<= 1000 ms", "", "<= 16 ms", ""]
    assert [row.goal for row in rows] == goals
    assert rows[2].measured == "0"


def test_large_models_are_measured(chromium: Browser) -> None:
    rows = list(large.table(large.Large(TINY.name, TINY.options, "tiny"), chromium, OPTIONS))
    assert [row.goal for row in rows] == ["<= 1 MB", "<= 2000 ms", "<= 16 ms", "<= 16 ms", "", ""]
    assert all(row.measured for row in rows)
