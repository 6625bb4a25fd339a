"""Subclassed, wrapped, compiled, checkpointed or hooked: a model gives what it gives as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from models import BY_NAME, SOME, TinyModel
from snapshots import untouched
from torch import nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers


def test_a_users_subclass_and_a_wrapped_model_are_known() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    expected = vaw.trace(model, inputs).logits
    model.__class__ = type("MyViT", (type(model),), {"__module__": "__main__"})
    assert torch.equal(vaw.trace(model, inputs).logits, expected)
    assert torch.equal(vaw.trace(nn.DataParallel(model), inputs).logits, expected)
    described = vaw.describe(model)
    assert vaw.describe(described) is described
    assert torch.equal(vaw.trace(described, inputs).logits, expected)
    assert vaw.describe(nn.DataParallel(model)).name == f"{described.name} (without DataParallel)"


def _wrapped(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def _in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def _block_by_block(model: nn.Module) -> nn.Module:
    for index, block in enumerate(model.blocks):
        model.blocks[index] = torch.compile(block, backend="eager")
    return model


def _its_forward(model: nn.Module) -> nn.Module:
    for block in model.blocks:
        block.attn.forward = torch.compile(block.attn.forward, backend="eager")
    return model


@pytest.mark.filterwarnings("ignore:.*global hooks on modules")  # of compiled blocks, by PyTorch
@pytest.mark.parametrize("compiled", [_wrapped, _in_place, _block_by_block, _its_forward])
@pytest.mark.parametrize(
    "name",
    [
        "vit",
        pytest.param("beit-explicit", marks=pytest.mark.slow),
        pytest.param("siglip", marks=pytest.mark.slow),
    ],
)
def test_compiled_models(name: str, compiled: Callable[[nn.Module], nn.Module]) -> None:
    """Where compiled code runs, attention cannot be seen: the eager module below runs instead."""
    tiny = BY_NAME[name]
    model, inputs, mask = tiny.build(), tiny.inputs(), {0: [0], 2: [1]}
    plain = vaw.trace(model, inputs, [1, 2])
    expected = {name: method(plain).values for name, method in explainers.METHODS.items()}
    masked = vaw.trace(model, inputs, head_mask=mask).logits
    given = compiled(model)
    try:
        with torch.no_grad():
            torch.testing.assert_close(given(inputs), plain.logits)  # compiled code to be met
        with untouched(model):
            trace = vaw.trace(given, inputs, [1, 2])
            for method, values in expected.items():
                torch.testing.assert_close(explainers.METHODS[method](trace).values, values)
            for held in (given, trace.model):
                with torch.no_grad(), vaw.masked_heads(held, mask):
                    torch.testing.assert_close(given(inputs), masked)
        assert ("without torch.compile" in repr(trace)) == (compiled is _wrapped)
        with torch.no_grad():
            torch.testing.assert_close(given(inputs), plain.logits)
    finally:
        torch.compiler.reset()


@pytest.mark.parametrize("some", SOME)
def test_gradient_checkpointing_does_not_matter(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    plain = vaw.trace(model, inputs)
    expected = {name: method(plain).values for name, method in explainers.METHODS.items()}
    importance = vaw.head_importance(model, inputs).values
    model.set_grad_checkpointing(True)
    with untouched(model):
        trace = vaw.trace(model, inputs)
        for name, method in explainers.METHODS.items():
            torch.testing.assert_close(method(trace).values, expected[name], msg=name)
        torch.testing.assert_close(vaw.head_importance(model, inputs).values, importance)


@pytest.mark.parametrize("some", SOME)
def test_hooks_of_the_user_still_run(some: TinyModel) -> None:
    model, inputs = some.build(), some.inputs()
    seen: list[int] = []
    for block in model.blocks:
        block.register_forward_hook(lambda *_: seen.append(1))
    with untouched(model):
        vaw.trace(model, inputs)
    assert len(seen) == len(model.blocks)
