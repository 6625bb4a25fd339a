"""Models whose weights, dtype or parts change after they were traced."""

from __future__ import annotations

import copy
import gc
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from models import BY_NAME
from torch import nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import StaleTraceError
from vit_attention_widget.models.weights_state import WeightsState, hooks_of
from vit_attention_widget.tracing.run import remask

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=10).eval()


# Changes -----------------------------------------------------------------------------------------


def data_write(model: nn.Module) -> None:
    """One head's queries, by a write that leaves the version alone."""
    weight = model.blocks[3].attn.qkv.weight
    before = weight._version
    weight.data[:32] = 0
    assert weight._version == before


def in_place(model: nn.Module) -> None:
    with torch.no_grad():
        model.blocks[0].mlp.fc1.bias[0] += 1


def optimizer_step(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model(torch.randn(2, 3, 160, 160, dtype=model.cls_token.dtype)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def load_state_dict(model: nn.Module) -> None:
    model.load_state_dict({k: v * 1.5 for k, v in model.state_dict().items()})


def load_by_assignment(model: nn.Module) -> None:
    model.load_state_dict({k: v * 1.5 for k, v in model.state_dict().items()}, assign=True)


def half(model: nn.Module) -> None:
    model.bfloat16()


def there_and_back(model: nn.Module) -> None:
    """As accuracy on a GPU is often tried: the values come back rounded."""
    model.half().float()


def head_replaced(model: nn.Module) -> None:
    model.head = nn.Linear(model.embed_dim, 2)


def head_of_same_size(model: nn.Module) -> None:
    model.head = nn.Linear(model.embed_dim, 10)


def activation_replaced(model: nn.Module) -> None:
    for block in model.blocks:
        block.mlp.act = nn.ReLU()


def adapter_merged(model: nn.Module) -> None:
    """What merging a LoRA adapter does."""
    for block in model.blocks:
        weight = block.attn.qkv.weight
        low, high = torch.randn(weight.shape[0], 4), torch.randn(4, weight.shape[1])
        weight.data += 0.1 * low @ high


def steered(model: nn.Module) -> None:
    """A hook adds to what a block returns, as code that steers a model does."""
    model.blocks[1].register_forward_hook(lambda _, args, out: out + args[0])


CHANGES = [
    data_write,
    in_place,
    optimizer_step,
    load_state_dict,
    load_by_assignment,
    half,
    there_and_back,
    head_replaced,
    head_of_same_size,
    activation_replaced,
    adapter_merged,
    steered,
]
changes = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


# Nothing that changes the decision ----------------------------------------------------------------


def trained_mode(model: nn.Module) -> None:
    model.train()


def ran(model: nn.Module) -> None:
    with torch.no_grad():
        model(torch.randn(3, 3, 160, 160))


def backward_pass(model: nn.Module) -> None:
    model(torch.randn(2, 3, 160, 160)).sum().backward()
    model.zero_grad()


def frozen(model: nn.Module) -> None:
    model.requires_grad_(False)


def same_dtype(model: nn.Module) -> None:
    model.float().cpu()


def copied(model: nn.Module) -> None:
    copy.deepcopy(model).half()


def hooked(model: nn.Module) -> None:
    model.blocks[0].register_forward_hook(lambda *_: None)


def traced_otherwise(model: nn.Module) -> None:
    vaw.head_importance(model, PICTURE)
    vaw.evaluation.sanity_check(model, PICTURE, methods="daam")


HARMLESS = [
    trained_mode,
    ran,
    backward_pass,
    frozen,
    same_dtype,
    copied,
    hooked,
    traced_otherwise,
]
harmless = pytest.mark.parametrize("use", HARMLESS, ids=lambda use: use.__name__)


# The state ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "siglip", "swin"])
def test_every_parameter_counts(name: str) -> None:
    model = BY_NAME[name].build(torch.float32) if name in BY_NAME else tiny()
    for key, value in model.state_dict().items():
        state = WeightsState.of(model)
        assert state.difference(model) is None
        value.data.add_(1)
        assert state.difference(model) == "its weights were changed", key


def test_what_changed_is_named() -> None:
    model = tiny()
    state = WeightsState.of(model)
    in_place(model)
    assert state.difference(model) == "its weights were changed (blocks.0.mlp.fc1.bias)"
    state = WeightsState.of(model)
    half(model)
    assert "turned from torch.float32 into torch.bfloat16" in str(state.difference(model))
    state = WeightsState.of(model)
    head_replaced(model)
    assert state.difference(model) == "parts of it were replaced"
    state = WeightsState.of(model)
    model.to("meta")
    assert "moved from cpu to meta" in str(state.difference(model))


def test_a_64th_of_a_weight_is_seen_wherever_it_is() -> None:
    model = nn.Linear(96, 288)
    part = model.weight.numel() // 64
    for start in range(0, model.weight.numel() - part, part // 3):
        state = WeightsState.of(model)
        model.weight.data.view(-1)[start : start + part].add_(1)
        assert state.difference(model) is not None, start


def test_weights_that_have_no_version_or_cannot_be_sampled() -> None:
    with torch.inference_mode():
        model = tiny()
    state = WeightsState.of(model)
    assert state.difference(model) is None
    model.blocks[0].attn.qkv.weight.data.mul_(2)
    assert state.difference(model) is not None
    wide = nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)
    wide.weight.data[0, 0, 0, 0] = torch.nan
    state = WeightsState.of(wide)
    assert state.difference(wide) is None
    wide.weight.data.mul_(2)
    assert state.difference(wide) is not None


# Traces -------------------------------------------------------------------------------------------


@changes
def test_a_trace_refuses_to_join_old_values_with_new_weights(
    change: Callable[[nn.Module], None],
) -> None:
    model = tiny()
    old = vaw.trace(model, PICTURE)
    attention = old.attention(2)
    change(model)
    for use in (
        lambda: old.output_gradient(1),
        lambda: old.token_gradient(1),
        lambda: remask(old, [(3, 0)]),
        lambda: vaw.head_importance(old),
        lambda: vaw.partial_pruning(old, layer=1, head=0),
        lambda: vaw.explainers.legrad(old.retarget(1)),
    ):
        with pytest.raises(StaleTraceError, match=r"no longer the model that was traced.*again"):
            use()
    assert torch.equal(old.attention(2), attention)  # what was recorded stays


@changes
def test_traced_again_it_is_the_model_as_it_is_now(change: Callable[[nn.Module], None]) -> None:
    model = tiny()
    vaw.trace(model, PICTURE)
    change(model)
    new = vaw.trace(model, PICTURE)
    with torch.no_grad():
        assert torch.allclose(new.logits, model(new.inputs), atol=1e-4)
    new.output_gradient(0)


@harmless
def test_no_false_alarm(use: Callable[[nn.Module], None]) -> None:
    model = tiny()
    old, expected = vaw.trace(model, PICTURE), vaw.trace(model, PICTURE).output_gradient(1)
    use(model)
    assert torch.equal(old.output_gradient(1), expected)
    assert remask(old, [(3, 0)]).head_mask == {3: (0,)}


def test_gradients_that_are_there_stay() -> None:
    model = tiny()
    old = vaw.trace(model, PICTURE)
    gradient = old.output_gradient(1)
    optimizer_step(model)
    assert torch.equal(old.output_gradient(1), gradient)


# Sessions -----------------------------------------------------------------------------------------


def looked_at(model: nn.Module, **options: object) -> vaw.Session:
    session = vaw.Session(model, PICTURE, **options)
    assert session.wait(120)
    return session


@changes
def test_a_session_looks_again_by_itself(change: Callable[[nn.Module], None]) -> None:
    """Whatever is asked for next shows that the model is another, and is of that."""
    model = tiny()
    session = looked_at(model, selected_layer=2, method="legrad")
    before = session.decision
    change(model)
    session.pruned_heads = [(3, 0), (4, 1)]
    assert session.wait(120)
    fresh = looked_at(model, pruned_heads=[(3, 0), (4, 1)], selected_layer=2, method="legrad")
    if len(fresh.decision["rows"]) == len(before["rows"]):  # else it is another model: none pruned
        assert session.pruned_heads == [(3, 0), (4, 1)]
        assert session.decision["target_after"] == pytest.approx(
            fresh.decision["target_after"], abs=1e-4
        )
    assert session.selected_layer == 2
    assert session.method == "legrad"
    error = session.status["error"]
    assert "no longer the model that was traced" in error["message"]
    assert "looked at again" in error["hint"]
    assert session.status["state"] == "idle"
    for name, maps in session.attributions.items():
        assert np.isfinite(maps).all(), name
    session.close()
    fresh.close()


@harmless
def test_a_session_stays_where_nothing_changed(use: Callable[[nn.Module], None]) -> None:
    model = tiny()
    session = looked_at(model)
    version = session._version
    use(model)
    session.selected_layer = 1
    session.method = "rollout"
    assert session.wait(120)
    assert session._version == version
    assert session.status["error"] is None
    session.close()


def test_a_question_of_the_browser_shows_the_change_too() -> None:
    model = tiny()
    explorer = vaw.Explorer(model, PICTURE)
    assert explorer.wait(120)
    version = explorer._version
    data_write(model)
    replies: list[dict[str, object]] = []
    explorer.send = lambda content, buffers=None: replies.append(content)
    explorer._handle_custom_msg({"id": "a", "method": "attention", "params": {"layer": 3}}, [])
    assert explorer.wait(120)
    assert [sorted(reply) for reply in replies] == [["error", "id"]]
    assert explorer._version > version
    assert "looked at again" in explorer.status["error"]["hint"]
    explorer.close()


def test_a_model_that_keeps_changing_is_not_run_without_end() -> None:
    model = tiny()
    session = looked_at(model)
    ended = threading.Event()

    def train() -> None:
        while not ended.wait(0.01):
            in_place(model)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        session.pruned_heads = [(3, 0)]
        assert session.wait(60)
        assert "keeps changing" in session.status["error"]["hint"]
    finally:
        ended.set()
        thread.join()
    time.sleep(2.1)
    session.pruned_heads = [(3, 1)]
    assert session.wait(60)
    assert session.decision["pruned"] == [(3, 1)]
    assert "looked at again" in session.status["error"]["hint"]
    session.close()


# What forward is patched with ---------------------------------------------------------------------


def test_another_patch_at_the_same_address_is_another() -> None:
    """Memory of a function that is gone is given to the next."""
    model = tiny()
    block, whole = model.blocks[1], type(model.blocks[1]).forward

    def scaled(factor: float) -> Callable[..., torch.Tensor]:
        return lambda x, **options: factor * whole(block, x, **options)

    block.forward = scaled(1)
    image = torch.randn(1, 3, *model.patch_embed.img_size)
    trace = vaw.trace(model, image)
    address = id(block.forward)
    del block.forward
    others = []  # which keep other places taken
    for _ in range(100_000):
        block.forward = scaled(2)
        if id(block.forward) == address:
            break
        others.append(block.forward)
    assert id(block.forward) == address
    with pytest.raises(StaleTraceError, match="hooks on it came or went"):
        remask(trace, {2: [0]})


def test_what_forward_was_patched_with_is_not_kept_alive() -> None:
    model = tiny()
    model.blocks[0].forward = model.blocks[0].forward
    trace = vaw.trace(model, torch.randn(1, 3, *model.patch_embed.img_size))
    patched, hooks = weakref.ref(model.blocks[0].forward), trace.forward_pass.hooks
    del model.blocks[0].forward
    gc.collect()
    assert patched() is None
    assert hooks != hooks_of(model)
