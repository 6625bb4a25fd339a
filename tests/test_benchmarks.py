"""Every scenario of the benchmarks runs; no time is asserted."""

from __future__ import annotations

import argparse
import copy
import functools
import importlib.util
import os
import sys
from pathlib import Path

import distributed
import pytest
import torch
from torch.nn.functional import linear, scaled_dot_product_attention

sys.path.insert(0, str(Path(__file__).parents[1]))

import vit_attention_widget as vaw
from benchmarks import core, growth, many_images, peers, plots, pruning, workers
from benchmarks.counted import multiplications


def options(**changed: object) -> argparse.Namespace:
    return argparse.Namespace(
        **{"device": "cpu", "dtype": "float32", "threads": 1, "rounds": 2, "batch": 2} | changed
    )


SMALL = {"img_size": 64, "depth": 3, "embed_dim": 48, "num_heads": 3}


@pytest.mark.slow
def test_every_peer_can_be_run(tmp_path: Path) -> None:
    rows = peers.table("vit_tiny_patch16_224", options(), **SMALL)
    assert len(rows) >= 19
    assert all(row.measured for row in rows)
    plots.ratios(rows, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").stat().st_size > 5_000


def test_what_does_not_agree_is_not_timed() -> None:
    scene = peers.Scene("vit_tiny_patch16_224", 1, options(), **SMALL)
    with pytest.raises(SystemExit, match="do not agree"):
        scene.checked("a map", torch.arange(9.0), torch.arange(9.0).flip(0))


@pytest.mark.slow
def test_growth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    once = functools.cache(growth.in_fresh_process)  # a process takes seconds to start
    monkeypatch.setattr(growth, "in_fresh_process", once)
    monkeypatch.setattr(growth, "PATCHES", (256, 256))
    measured = growth.measured(options())
    assert measured["retained"][1]["extra"] > measured["daam"][1]["extra"] > 0
    assert len(growth.rows(measured)) == 3
    growth.draw(measured, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5_000


def test_multiplications_are_counted() -> None:
    """Of fused attention too: two products in a forward pass, five in a backward pass."""
    q, k = torch.randn(1, 2, 5, 8, requires_grad=True), torch.randn(1, 2, 7, 8, requires_grad=True)
    of_pass = 2 * 2 * 5 * 7 * 8
    assert multiplications(lambda: scaled_dot_product_attention(q, k, k)) == of_pass
    out = scaled_dot_product_attention(q, k, k)
    assert multiplications(lambda: out.sum().backward()) == 5 * of_pass // 2
    with torch.inference_mode():
        assert multiplications(lambda: torch.ones(3, 4) @ torch.ones(4, 5)) == 60
        assert multiplications(lambda: linear(torch.ones(2, 3, 4), torch.ones(5, 4))) == 120


def test_no_method_needs_more_multiplications_than_its_gradients() -> None:
    rows = core.counted("test_vit", 64, ("daam",), core.METHODS, core.EVERY)
    ratios = [float(row.measured.split()[0]) for row in rows]
    assert 1.5 < ratios[0] < ratios[1] < ratios[2] < 3


def test_a_trace_runs_without_its_checks() -> None:
    [row] = core.checks("test_vit", 2)
    assert "x without" in row.measured


def test_leave_one_out_of_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_images, "BATCH", 2)

    def here(module: str, *arguments: str) -> dict[str, float]:
        return many_images.measured(int(arguments[1]), int(arguments[3]))

    monkeypatch.setattr(many_images, "in_fresh_process", here)
    [row] = many_images.table([5], 1)
    assert "forward passes an image" in row.measured


def test_pruning_by_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Torch-Pruning is not installed its rows say so by name."""
    monkeypatch.setattr(pruning, "ORDERS", ("taylor",))
    model, scenes = vaw.demo.load_model(), pruning.scenes(pruning.FIRST, 6)
    rows = pruning.orders(options(left=[22], seeds=1), model, scenes[:3], scenes[3:])
    assert len(rows) == 2 + len(pruning.PEERS)
    assert "parameters 0.97 x" in rows[0].measured
    absent = importlib.util.find_spec("torch_pruning") is None
    expected = "torch_pruning is not installed" if absent else "parameters 0.97 x"
    assert all(expected in row.measured for row in rows if "Torch-Pruning" in row.question)


@pytest.mark.slow
def test_workers_and_a_client_that_are_killed_change_no_number(tmp_path: Path) -> None:
    workers.draw(tmp_path, 48, per_shard=20)
    torch.set_num_threads(1)
    expected = workers.importance(tmp_path, 48, 16)
    environment, settings = dict(os.environ), copy.deepcopy(distributed.config)
    faulty = workers.with_faults(tmp_path, 48, 16, expected)
    assert (dict(os.environ), distributed.config) == (environment, settings)
    assert faulty.images == 48
    assert faulty.computed_by_second <= 36
    assert faulty.largest_difference == 0
