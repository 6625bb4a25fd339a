"""Every scenario of the benchmarks runs; no time is asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import peers


def test_every_peer_can_be_run() -> None:
    options = {"img_size": 64, "depth": 3, "embed_dim": 48, "num_heads": 3}
    rows = peers.table("vit_tiny_patch16_224", rounds=2, batch=2, **options)
    assert len(rows) >= 12
    assert all(row.measured for row in rows)


def test_what_does_not_agree_is_not_timed() -> None:
    import torch

    with pytest.raises(SystemExit, match="do not agree"):
        peers.checked("a map", torch.arange(9.0), torch.arange(9.0).flip(0))
