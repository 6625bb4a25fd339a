"""Compiled code stays switched off until the last body that asked for it has ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from vit_attention_widget.capture.eager import eagerly, is_compiled


@pytest.fixture
def compiled() -> Iterator[tuple[nn.Module, list[str]]]:
    """A compiled module, and a list that grows with every run of compiled code."""
    ran: list[str] = []

    def backend(graph: nn.Module, _: list[Tensor]) -> object:
        def run(*args: Tensor) -> object:
            ran.append("compiled")
            return graph(*args)

        return run

    yield torch.compile(nn.Linear(2, 2), backend=backend), ran
    torch.compiler.reset()


def test_bodies_may_overlap_and_raise(compiled: tuple[nn.Module, list[str]]) -> None:
    model, ran = compiled
    given = torch.zeros(1, 2)
    with eagerly(model):
        with pytest.raises(ValueError, match="stop"), eagerly():
            raise ValueError("stop")
        model(given)
    assert not ran
    model(given)
    assert ran == ["compiled"]


def test_the_thread_that_ends_last_switches_back(compiled: tuple[nn.Module, list[str]]) -> None:
    model, ran = compiled
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with eagerly(model):
            inside.set()
            assert leave.wait(20)

    thread = threading.Thread(target=hold)
    with eagerly(model):
        thread.start()
        assert inside.wait(20)
    model(torch.zeros(1, 2))
    assert not ran
    leave.set()
    thread.join()
    model(torch.zeros(1, 2))
    assert ran == ["compiled"]


def test_a_model_that_is_not_compiled_switches_nothing(
    compiled: tuple[nn.Module, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch.nn.attention.flex_attention", raising=False)
    model, ran = compiled
    assert is_compiled(model)
    assert is_compiled(nn.Sequential(model))
    assert not is_compiled(nn.Linear(2, 2))
    with eagerly(nn.Linear(2, 2)):
        model(torch.zeros(1, 2))
    assert ran == ["compiled"]
