"""Masked heads hold where they are asked for: in this thread, until the end, in every trace."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from models import BY_NAME, MODELS, SOME, TinyModel
from snapshots import untouched
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget import explainers


class BrokenError(Exception):
    """Raised by the test in the middle of a computation."""


@pytest.mark.parametrize("tiny", MODELS)
def test_masked_heads_is_what_trace_does_with_a_head_mask(tiny: TinyModel) -> None:
    model, inputs = tiny.build(), tiny.inputs()
    mask = {0: [1], 2: [0, 1]}
    with untouched(model), torch.no_grad():
        plain = model(inputs)
        with vaw.masked_heads(model, mask):
            masked = model(inputs)
        assert torch.equal(model(inputs), plain)
    assert not torch.equal(masked, plain)
    trace = vaw.trace(model, inputs, head_mask=mask)
    torch.testing.assert_close(trace.logits, masked)
    assert (trace.layers[0].out[:, 1] == 0).all()
    assert (trace.layers[2].out == 0).all()
    assert (trace.layers[1].out != 0).any()


@pytest.mark.parametrize("some", SOME)
def test_a_trace_inside_masked_heads_sees_the_pruned_model(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    mask = {0: [1], 2: [0]}
    expected = vaw.trace(model, inputs, [1, 2], head_mask=mask)
    importance = vaw.head_importance(model, inputs, target=[1, 2], head_mask=mask).values
    with vaw.masked_heads(model, mask):
        trace = vaw.trace(model, inputs, [1, 2])
        values = vaw.head_importance(model, inputs, target=[1, 2]).values
    torch.testing.assert_close(trace.logits, expected.logits)
    for name, method in explainers.METHODS.items():
        torch.testing.assert_close(method(trace).values, method(expected).values, msg=name)
    torch.testing.assert_close(values, importance, equal_nan=True)
    assert trace.head_mask == expected.head_mask  # also for what runs the model again, outside
    torch.testing.assert_close(
        explainers.occlusion(trace, window=2, stride=2).values,
        explainers.occlusion(expected, window=2, stride=2).values,
    )


@pytest.mark.parametrize("some", SOME)
def test_masks_hold_after_an_error_that_was_caught(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()

    def explode(*_: object) -> None:
        raise BrokenError

    with torch.no_grad(), vaw.masked_heads(model, {0: [0], 1: [1]}):
        expected = model(inputs)
        handle = model.blocks[1].mlp.register_forward_pre_hook(explode)
        with pytest.raises(BrokenError):
            model(inputs)
        handle.remove()
        assert torch.equal(model(inputs), expected)


@pytest.mark.parametrize("some", SOME)
def test_masks_add_up(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    with torch.no_grad():
        with vaw.masked_heads(model, {0: [0], 1: [1]}):
            together = model(inputs)
        with vaw.masked_heads(model, {0: [0]}), vaw.masked_heads(model, {1: [1]}):
            torch.testing.assert_close(model(inputs), together)


def test_another_thread_sees_the_whole_model() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    with torch.no_grad():
        plain = model(inputs)
    seen: list[Tensor] = []

    def run() -> None:
        with torch.no_grad():
            seen.append(model(inputs))

    with vaw.masked_heads(model, {0: [0, 1], 1: [0, 1]}):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert torch.equal(seen[0], plain)


def test_threads_that_trace_the_same_model_do_not_mix() -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build()
    inputs = [tiny.inputs(seed=seed) for seed in range(4)]
    expected = [explainers.daam(vaw.trace(model, x)).values for x in inputs]
    maps: dict[int, list[Tensor]] = {}

    def run(index: int) -> None:
        maps[index] = [explainers.daam(vaw.trace(model, inputs[index])).values for _ in range(8)]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    with untouched(model):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for index, values in enumerate(expected):
        assert len(maps[index]) == 8
        assert all(torch.equal(v, values) for v in maps[index])


def test_overlapping_traces_of_a_model_in_training_mode() -> None:
    """The first to end must not put the other's blocks back into training mode under it."""
    tiny = BY_NAME["vit"]
    model = tiny.build(torch.float32).train()
    for block in model.blocks:
        block.mlp.drop1.p = 0.5
    inputs = tiny.inputs(dtype=torch.float32)
    expected = vaw.trace(copy.deepcopy(model).eval(), inputs).logits
    second_runs, first_ended = threading.Event(), threading.Event()
    logits: list[Tensor] = []

    def wait_in_second(fraction: float, label: str) -> None:
        second_runs.set()
        assert first_ended.wait(20)

    def run_second() -> None:
        logits.append(vaw.trace(model, inputs, progress=wait_in_second).logits)

    thread = threading.Thread(target=run_second)

    def wait_in_first(fraction: float, label: str) -> None:
        if not thread.ident:
            thread.start()
        assert second_runs.wait(20)

    with untouched(model):
        logits.append(vaw.trace(model, inputs, progress=wait_in_first).logits)
        first_ended.set()
        thread.join()
    assert len(logits) == 2
    assert all(torch.equal(each, expected) for each in logits)
