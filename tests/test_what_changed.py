"""Importance before and after pruning: kept, or measured when asked for; against a literal twin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from models import BY_NAME
from reference.explicit import ExplicitViT
from safetensors.numpy import load

import vit_attention_widget as vaw

TINY = BY_NAME["vit"]
IMAGE = TINY.inputs(1, torch.float64)
PRUNED = (1, 0)


def session_of(**options: object) -> vaw.Session:
    session = vaw.Session(TINY.build(torch.float64), IMAGE, 2, **options)
    assert session.wait(60)
    return session


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    session = session_of()
    yield session
    session.close()


def falls(masked: dict[int, tuple[int, ...]]) -> np.ndarray:
    """By how much class 2 falls without each further head, in float64; NaN for masked heads."""

    def probability(off: dict[int, tuple[int, ...]]) -> float:
        logits = ExplicitViT(TINY.build(torch.float64), switched_off=off)(IMAGE).logits[0]
        return float(logits.softmax(-1)[2])

    vit = vaw.describe(TINY.build(torch.float64))
    table = np.full((vit.num_layers, max(vit.num_heads)), np.nan)
    for layer, count in enumerate(vit.num_heads):
        for head in range(count):
            here = masked.get(layer, ())
            if head not in here:
                off = {**masked, layer: (*here, head)}
                table[layer, head] = probability(masked) - probability(off)
    return table


def test_both_are_known_after_pruning(session: vaw.Session) -> None:
    assert session._importance_before == b""
    session.pruned_heads = [PRUNED]
    assert session.wait(60)
    before, after = load(session._importance_before), load(session._importance_data)
    np.testing.assert_allclose(before["probability"], falls({}), atol=1e-6)
    np.testing.assert_allclose(after["probability"], falls({1: (0,)}), atol=1e-6)
    assert sorted(before) == sorted(after)
    np.testing.assert_array_equal(session.importance_before, before["probability"])
    session.metric = "jsd"
    np.testing.assert_array_equal(session.importance_before, before["jsd"])
    session.pruned_heads = []
    assert session.wait(60)
    assert session._importance_before == b""


def test_it_is_kept_while_other_heads_are_pruned(session: vaw.Session) -> None:
    runs = 0

    def count(_: object, args: tuple[torch.Tensor]) -> None:
        nonlocal runs
        runs += 1

    session.pruned_heads = [PRUNED]
    assert session.wait(60)
    before = session._importance_before
    session.pruned_heads = [PRUNED, (2, 1)]
    assert session.wait(60)
    session.model.blocks[0].register_forward_pre_hook(count)
    session.measure_importance_before()  # it is known
    assert session.wait(60)
    assert session._importance_before == before
    assert runs == 0


def test_pruned_from_the_beginning_it_is_measured_when_asked_for() -> None:
    session = session_of(pruned_heads=[PRUNED])
    assert session._importance_before == b""
    assert session.importance_before is None
    session.measure_importance_before()
    assert session.wait(60)
    np.testing.assert_allclose(session.importance_before, falls({}), atol=1e-6)
    assert load(session._importance_before)["probability"].shape == session.importance.shape
    session.close()


def test_another_class_or_image_drops_it(session: vaw.Session) -> None:
    session.pruned_heads = [PRUNED]
    assert session.wait(60)
    session.target = 3
    assert session.wait(60)
    assert session._importance_before == b""  # what it is of is another class
    assert session.importance_before is None
    session.image = TINY.inputs(1, torch.float64, seed=4)
    assert session.wait(60)
    assert session._importance_before == b""


def test_cancelled_it_stays_unknown() -> None:
    session = session_of(pruned_heads=[PRUNED])
    session.measure_importance_before()
    session.cancel()
    assert session.wait(60)
    if session.importance_before is None:  # else it was faster
        assert session._importance_before == b""
        session.go_on()
        assert session.wait(60)
    assert session.importance_before is not None
    session.close()
