"""Interactions of heads against every pair removed by hand; what is kept of a run that stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models import BY_NAME
from reference.interactions import interactions as literal
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.importance.interactions import of_trace

TINY = BY_NAME["vit"]
MODEL, INPUTS, TARGET = TINY.build(), TINY.inputs(3), [1, 3, 0]
HEADS = [(layer, head) for layer in range(3) for head in range(2)]


def same(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("metric", ["probability", "loss", "accuracy", "jsd", "class_token_cosine"])
def test_every_pair(metric: Any) -> None:
    ours = vaw.head_interactions(MODEL, INPUTS, TARGET, metric=metric)
    same(ours.values, literal(MODEL, INPUTS, TARGET, metric))
    same(ours.importance, vaw.head_importance(MODEL, INPUTS, TARGET, metric=metric).values)
    assert ours.gone == tuple(HEADS)
    assert ours.complete
    some = vaw.head_interactions(MODEL, INPUTS, TARGET, metric=metric, heads=[(2, 1), (0, 0)])
    same(some.values, ours.values[:, [5, 0]])


def test_by_taylor_and_of_a_model_that_is_pruned() -> None:
    ours = vaw.head_interactions(MODEL, INPUTS, TARGET, metric="taylor", heads=[(1, 0)])
    before, after = (
        vaw.head_importance(MODEL, INPUTS, TARGET, metric="taylor", head_mask=mask).values
        for mask in ({}, {1: [0]})
    )
    same(ours.values[:, 0], (after - before).double())
    masked = vaw.trace(MODEL, INPUTS, TARGET, head_mask={1: [0]})
    ours = vaw.head_interactions(masked)
    assert len(ours.gone) == 5
    assert ours.values[:, :, 1, 0].isnan().all()
    again = vaw.head_interactions(MODEL, INPUTS, TARGET, head_mask={1: [0]})
    same(again.values, ours.values)
    p = vaw.head_importance(MODEL, INPUTS, TARGET, head_mask=[(1, 0), (0, 1)]).values
    q = vaw.head_importance(MODEL, INPUTS, TARGET, head_mask=[(1, 0)]).values
    same(ours.values[:, 1], p - q)


def test_a_pair_is_run_once_and_what_lies_below_not_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[int] = []
    removals = of_trace.removals

    def counted(*args: Any, **options: Any) -> Any:
        for removal in removals(*args, **options):
            run.append(removal.layer)
            yield removal

    monkeypatch.setattr(of_trace, "removals", counted)
    vaw.head_interactions(MODEL, INPUTS, TARGET, heads=HEADS)
    # Without heads of layer 1: layers 2 and 1, and one step too far; of layer 2: itself.
    assert sorted(run) == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_heads_that_take_over_are_named() -> None:
    ours = vaw.head_interactions(MODEL, INPUTS, TARGET)
    mean = ours.mean()
    low, _ = ours.interval()
    named = ours.backups(100)
    assert [backup.change for backup in named] == sorted((b.change for b in named), reverse=True)
    for backup in named:
        row = ours.gone.index(backup.gone)
        assert backup.backup[0] >= backup.gone[0]
        assert low[row][backup.backup] > 0
        assert backup.change == float(mean[row][backup.backup])
    one = vaw.head_interactions(MODEL, INPUTS[:1], TARGET[:1])
    best = one.backups(1)[0]
    risen = one.mean()[one.gone.index(best.gone)][best.backup]
    upper = [
        float(one.mean()[row, layer, head])
        for row, gone in enumerate(HEADS)
        for layer, head in HEADS
        if layer >= gone[0] and (layer, head) != gone
        and one.importance[0, layer, head] + one.mean()[row, layer, head] > 0
    ]  # fmt: skip
    assert best.change == float(risen) == max(upper)
    assert "takes over" in one._repr_html_()


@pytest.mark.parametrize("by_folder", [False, True])
def test_it_goes_on_where_it_was_stopped(tmp_path: Path, by_folder: bool) -> None:
    whole = vaw.head_interactions(MODEL, INPUTS, TARGET, max_batch=4)
    more: dict[str, Any] = {"store": tmp_path / "run"} if by_folder else {}

    def stop(fraction: float, label: str) -> None:
        if fraction > 0.8:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        vaw.head_interactions(MODEL, INPUTS, TARGET, max_batch=4, progress=stop, **more)
    partial = vaw.kept_result()
    assert not partial.complete
    assert partial.how_far.startswith("2 of 3 images, and ")
    path = tmp_path / "partial.safetensors"
    partial.save(path)
    loaded = vaw.HeadInteractions.load(path)
    assert loaded.how_far == partial.how_far
    if not by_folder:
        more = {"start": loaded}
    done = vaw.head_interactions(MODEL, INPUTS, TARGET, max_batch=4, **more)
    same(done.values, whole.values)
    assert done.complete
    if by_folder:
        with pytest.raises(ParameterError, match="another run: its metric"):
            vaw.head_interactions(MODEL, INPUTS, TARGET, metric="loss", **more)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "best"}, "metric is 'best'"),
        ({"max_batch": 0}, "max_batch is 0"),
        ({"heads": []}, "heads names none"),
        ({"heads": [(0, 5)]}, "no head 5 in layer 0"),
        ({"heads": [(0, 1)], "head_mask": {0: [1]}}, "head 1 of layer 0, which is masked"),
        ({"start": 3}, "start is a int"),
        ({"target": lambda logits: logits.sum(-1)}, "not a class"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        vaw.head_interactions(MODEL, INPUTS, **options)
