"""A model that another thread trains is looked at without taking that thread's dropout away."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import timm
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.models.eval_mode import evaluating


def training_model() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(
        "test_vit", img_size=32, num_classes=5, drop_rate=0.5, drop_path_rate=0.5
    ).train()


def in_another_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_another_thread_reads_the_switches_as_they_stand() -> None:
    model, read = training_model(), []
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        in_another_thread(lambda: read.extend(module.training for module in model.modules()))
    assert read
    assert all(read)
    assert all(module.training for module in model.modules())


def test_a_training_step_beside_a_trace_keeps_its_dropout() -> None:
    """The step runs while the trace stands in the middle of the model."""
    model = training_model()
    images = torch.randn(2, 3, 32, 32)
    expected = vaw.trace(copy.deepcopy(model).eval(), images).logits
    steps: list[Tensor] = []

    def step() -> None:
        torch.manual_seed(1)
        steps.append(model(images))

    trace = vaw.trace(model, images, progress=lambda *_: in_another_thread(step))
    step()
    assert len(steps) > 2
    assert all(torch.equal(logits, steps[-1]) for logits in steps)
    assert not torch.allclose(steps[-1], expected)
    torch.testing.assert_close(trace.logits, expected)


def test_what_another_thread_sets_meanwhile_stays() -> None:
    model = training_model()
    with evaluating(model):
        in_another_thread(model.eval)
    assert not any(module.training for module in model.modules())
    with evaluating(model):
        in_another_thread(model.train)
        assert not model.training
    assert all(module.training for module in model.modules())


def test_bodies_may_nest_and_overlap() -> None:
    model, other = training_model(), training_model()
    outer, inner = evaluating(model), evaluating(model)
    with outer:
        inner.__enter__()
        assert other.training
        with evaluating(other):
            assert not other.training
    assert not model.training
    inner.__exit__(None, None, None)
    assert model.training


def test_pytorch_is_left_as_it_was() -> None:
    model, attributes = training_model(), set(vars(nn.Module))
    with evaluating(model):
        assert copy.deepcopy(model).state_dict().keys() == model.state_dict().keys()
        assert nn.Dropout().training
        assert not hasattr(nn.Module, "training")
    assert set(vars(nn.Module)) == attributes


def test_checkpointing_is_off_in_this_thread_alone() -> None:
    model, read = training_model(), []
    model.set_grad_checkpointing(True)
    with evaluating(model):
        assert not model.grad_checkpointing
        in_another_thread(lambda: read.append(model.grad_checkpointing))
    assert read == [True]
    assert model.grad_checkpointing
