"""A partial result is saved and loaded as it is: its numbers, how far it is, and why it ended."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.faults import FUNCTIONS, attempt
from vit_attention_widget.errors import VitAttentionError

SLOW = ("AttentionPatterns.fit", "image_overview")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for name in FUNCTIONS
    if name != "accuracy"  # a number
]


@pytest.mark.parametrize("name", NAMES)
def test_a_partial_result_in_a_file(name: str, tmp_path: Path) -> None:
    partial = attempt(name, "an error of the progress callback", 0.6).partial
    partial.save(tmp_path / "partial.safetensors")
    loaded = type(partial).load(tmp_path / "partial.safetensors")
    rows = FUNCTIONS[name].rows
    torch.testing.assert_close(rows(loaded), rows(partial), rtol=0, atol=0, equal_nan=True)
    assert loaded.how_far == partial.how_far
    assert not loaded.complete
    assert isinstance(loaded.error, VitAttentionError)
    assert str(loaded.error) == "ZeroDivisionError: in a callback"
