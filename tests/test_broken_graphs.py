"""Gradients are there and whole, or missed aloud; and Grad-CAM has one definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from models import BY_NAME
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import CaptureError
from vit_attention_widget.tracing.run import remask

X = BY_NAME["vit"].inputs()
BY_GRADIENT = [name for name in explainers.METHODS if name not in ("rollout", "attention")]


def vit() -> Any:
    return BY_NAME["vit"].build()


def _replace(path: str, forward: Callable[[Any, Any], Any]) -> Callable[[Any], None]:
    """Give a module another forward, made from the module and its own forward."""

    def change(model: Any) -> None:
        module = model.get_submodule(path)
        module.forward = forward(module, module.forward)

    return change


def _block(attend: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Any], Any]:
    """A block whose first residual is another."""

    def forward(block: Any, _: Any) -> Any:
        def run(x: Tensor, **__: Any) -> Tensor:
            x = attend(block, x)
            return x + block.mlp(block.norm2(x))

        return run

    return forward


BREAKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "attention": (
        "blocks.1.attn",
        _replace("blocks.1.attn", lambda _, f: lambda x, **k: f(x).detach()),
    ),
    "queries": (
        "blocks.1.attn.qkv",
        _replace("blocks.1.attn.qkv", lambda _, f: lambda x: f(x.detach())),
    ),
    "residual": (
        "blocks.1",
        _replace("blocks.1", _block(lambda b, x: x.detach() + b.attn(b.norm1(x)))),
    ),
    "mlp": ("blocks.1.mlp", _replace("blocks.1.mlp", lambda _, f: lambda x: f(x).detach())),
    "data": ("blocks.1.mlp", _replace("blocks.1.mlp", lambda _, f: lambda x: f(x.data))),
    "no_grad": ("blocks.1.mlp.fc1", _replace("blocks.1.mlp", lambda _, f: torch.no_grad()(f))),
    "no_grad around attention": (
        "blocks.1.attn.qkv",
        _replace("blocks.1.attn", lambda _, f: torch.no_grad()(f)),
    ),
    "last block": ("blocks.2.mlp", _replace("blocks.2.mlp", lambda _, f: lambda x: f(x).detach())),
    "head": ("head", _replace("head", lambda _, f: lambda x: f(x.detach()))),
}

BELOW_ATTENTION = {"queries", "residual"}
"""What breaks the way to lower layers only, and so changes nothing in LeGrad."""


@pytest.mark.parametrize("method", [name for name in BY_GRADIENT if name != "legrad"])
@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_graph_is_refused_with_the_module(kind: str, method: str) -> None:
    path, change = BREAKS[kind]
    model = vit()
    change(model)
    trace = vaw.trace(model, X, 2)
    with pytest.raises(CaptureError, match=f"'{path}'.*attention, rollout"):
        explainers.METHODS[method](trace)
    assert explainers.rollout(trace).final.isfinite().all()


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("kind", BREAKS)
def test_legrad_needs_what_comes_after_the_attention_of_each_block(
    kind: str, gradients: bool
) -> None:
    path, change = BREAKS[kind]
    model = vit()
    change(model)
    trace = vaw.trace(model, X, 2, gradients=gradients)
    if kind in BELOW_ATTENTION:
        whole = explainers.legrad(vaw.trace(vit(), X, 2)).values
        torch.testing.assert_close(explainers.legrad(trace).values, whole)
        return
    with pytest.raises(CaptureError, match=f"'{path.removesuffix('.qkv')}"):
        explainers.legrad(trace)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", BY_GRADIENT)
def test_int8_weights_have_no_gradient(method: str) -> None:
    model = torch.ao.quantization.quantize_dynamic(vit().float(), {nn.Linear})
    trace = vaw.trace(model, X.float(), 2)
    with pytest.raises(CaptureError, match=r"'blocks\.0\.attn\.proj' \(Linear\), 'blocks\.0\.mlp"):
        explainers.METHODS[method](trace)
    with pytest.raises(CaptureError, match=r"'blocks\.0\.attn\.proj'"):
        explainers.legrad(vaw.trace(model, X.float(), 2, gradients=False))
    with pytest.raises(CaptureError, match="int8"):
        vaw.head_importance(model, X.float(), 2, metric="taylor")


def test_masking_heads_of_a_broken_model_still_says_so() -> None:
    model = vit()
    BREAKS["residual"][1](model)
    masked = remask(vaw.trace(model, X, 2), {2: [0]})
    with pytest.raises(CaptureError, match=r"'blocks\.1'"):
        explainers.daam(masked)


def test_what_never_joins_the_graph_again_breaks_nothing() -> None:
    expected = explainers.daam(vaw.trace(vit(), X, 2)).values
    model, stored = vit(), []
    for block in model.blocks:
        block.register_forward_hook(lambda *of: stored.append(of[2].detach().norm(dim=1)))
        scale = torch.zeros_like(block.attn.qkv.weight.data[:16, 0])
        block.mlp.register_forward_hook(
            lambda *of, s=scale: of[2] + s.to(of[2]) + torch.zeros_like(of[2])
        )
    trace = vaw.trace(model, X, 2)
    torch.testing.assert_close(explainers.daam(trace).values, expected)
    assert len(stored) == len(model.blocks)


def test_a_statistic_may_be_a_constant() -> None:
    def attend(block: Any, x: Tensor) -> Tensor:
        attention = block.attn
        qkv = attention.qkv(block.norm1(x)).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        scores = qkv[0] @ qkv[1].mT * attention.scale
        weights = (scores - scores.amax(-1, keepdim=True).detach()).softmax(-1)
        return x + attention.proj((weights @ qkv[2]).transpose(1, 2).flatten(2))

    expected = explainers.relevance(vaw.trace(vit(), X, 2)).values
    model = vit()
    _replace("blocks.1", _block(attend))(model)
    torch.testing.assert_close(explainers.relevance(vaw.trace(model, X, 2)).values, expected)


class Around(nn.Module):
    """Stands around a module and hands on what it is given, as a tensor of its own."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return (
            getattr(super().__getattr__("inner"), name)
            if name != "inner"
            else super().__getattr__(name)
        )

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.inner(x.clone(), *args, **kwargs)


def _around(parent: str, name: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        module = model.get_submodule(parent)
        module._modules[name] = Around(module._modules[name])

    return change


def _clone(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (args[0].clone(), *args[1:])


STANDING_BETWEEN: dict[str, Callable[[Any], object]] = {
    "pre-hook of the block": lambda m: m.blocks[1].register_forward_pre_hook(_clone),
    "pre-hook of the first block": lambda m: m.blocks[0].register_forward_pre_hook(_clone),
    "pre-hook of the norm": lambda m: m.blocks[1].norm1.register_forward_pre_hook(_clone),
    "hook of the block": lambda m: m.blocks[1].register_forward_hook(lambda *of: of[2].clone()),
    "hook of the norm": lambda m: m.blocks[1].norm1.register_forward_hook(
        lambda *of: of[2].clone()
    ),
    "backward hook of the block": lambda m: m.blocks[1].register_full_backward_hook(
        lambda *_: None
    ),
    "backward hook of the norm": lambda m: m.blocks[2].norm1.register_full_backward_hook(
        lambda *_: None
    ),
    "around the block": _around("blocks", "1"),
    "around the norm": _around("blocks.1", "norm1"),
    "norm by keyword": _replace("blocks.1", _block(lambda b, x: x + b.attn(b.norm1(x=x)))),
    "norm as a function": _replace(
        "blocks.1",
        _block(
            lambda b, x: (
                x + b.attn(F.layer_norm(x, (16,), b.norm1.weight, b.norm1.bias, b.norm1.eps))
            )
        ),
    ),
}


@pytest.mark.parametrize("kind", STANDING_BETWEEN)
def test_gradcam_keeps_its_definition(kind: str) -> None:
    expected = explainers.gradcam(vaw.trace(vit(), X, 2)).values
    model = vit()
    STANDING_BETWEEN[kind](model)
    maps = explainers.gradcam(vaw.trace(model, X, 2)).values
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seen", ["do not read", "2 norms read"])
def test_an_unclear_norm_is_refused(seen: str) -> None:
    def attend(block: Any, x: Tensor) -> Tensor:
        if seen == "2 norms read":
            return x + block.attn(block.norm1(x) + 0.1 * block.norm2(x))
        return x + block.attn(block.norm1(x + 1))

    model = vit()
    _replace("blocks.1", _block(attend))(model)
    trace = vaw.trace(model, X, 2)
    with pytest.raises(CaptureError, match=f"which norm of block 1 .*{seen}.*tokens="):
        explainers.gradcam(trace)
    assert explainers.gradcam(trace, tokens="before").final.isfinite().all()
