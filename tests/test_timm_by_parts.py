"""timm's models of families that are not known, such as vision towers: described by their parts."""

from __future__ import annotations

import math
from functools import cache

import pytest
import timm
import torch
import torch.nn.functional as F  # noqa: N812
from models import randomise
from timm.models import is_model
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.explainers import METHODS
from vit_attention_widget.tracing.trace import Trace

SMALL = {"img_size": (32, 64), "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 5}
MODELS = {
    "qwen3_vit_88m": {},
    "qwen3_vit_88m_merge": {},
    "deepseek_vit_412m": {},
}


@cache
def _traced(name: str) -> tuple[Trace, list[Tensor], list[Tensor]]:
    """A trace; the attention of each layer by a softmax that is written out, and its gradient."""
    if not is_model(name):
        pytest.skip(f"this version of timm has no {name}")
    model = timm.create_model(name, **{**SMALL, "patch_size": 8, **MODELS[name]})
    randomise(model)
    model = model.double().eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 32, 64, generator=generator, dtype=torch.float64)
    trace = vaw.trace(model, images, 1)
    matrices: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, attn_mask: None = None, **_: object) -> Tensor:
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(q.shape[-1])
        matrices.append(scores.exp() / scores.exp().sum(-1, keepdim=True))
        return torch.einsum("bhqk,bhkd->bhqd", matrices[-1], v)

    fused, F.scaled_dot_product_attention = F.scaled_dot_product_attention, attend
    try:
        logits = model(images)
    finally:
        F.scaled_dot_product_attention = fused
    torch.testing.assert_close(trace.logits, logits)
    return trace, matrices, list(torch.autograd.grad(logits[:, 1].sum(), matrices))


@pytest.mark.parametrize("name", MODELS)
def test_attention_and_its_gradient_are_those_of_the_softmax(name: str) -> None:
    trace, matrices, gradients = _traced(name)
    assert (trace.tokens.rows, trace.tokens.cols) == (4, 8)
    assert trace.model.library == "timm"
    assert trace.num_layers == len(matrices) == 2
    for layer, (matrix, gradient) in enumerate(zip(matrices, gradients, strict=True)):
        torch.testing.assert_close(trace.attention(layer), matrix.detach())
        torch.testing.assert_close(trace.attention_gradient(layer), gradient)


@pytest.mark.parametrize("name", MODELS)
def test_rollout_is_the_product_of_their_matrices(name: str) -> None:
    trace, matrices, _ = _traced(name)
    rolled = torch.eye(trace.tokens.num_tokens, dtype=torch.float64)
    maps = vaw.explainers.rollout(trace)
    for layer, matrix in enumerate(matrices):
        update = matrix.detach().mean(1) + torch.eye(len(rolled[-1]), dtype=torch.float64)
        rolled = update / update.sum(-1, keepdim=True) @ rolled
        expected = trace.tokens.to_grid(rolled.mean(1))  # all tokens are read alike
        torch.testing.assert_close(maps.values[:, layer], expected)


@pytest.mark.parametrize("name", MODELS)
def test_all_that_is_made_of_them_is_there_or_refused(name: str) -> None:
    trace, _, _ = _traced(name)
    for explainer in METHODS.values():
        assert explainer(trace).values.isfinite().all()
    importance = vaw.head_importance(trace, metric="probability")
    before = trace.logits.softmax(-1)[:, 1]
    with torch.no_grad(), vaw.masked_heads(trace.model, {1: [0]}):
        after = trace.model.forward(trace.inputs).softmax(-1)[:, 1]
    torch.testing.assert_close(importance.values[:, 1, 0].to(before), before - after)


@pytest.mark.parametrize("name", ["shvit_s1", "iformer_t"])
def test_attention_that_is_called_otherwise_is_said_as_it_is(name: str) -> None:
    if not is_model(name):
        pytest.skip(f"this version of timm has no {name}")
    with torch.device("meta"):
        model = timm.create_model(name)
    with pytest.raises(UnsupportedModelError, match=r"its attention \(in the modules SH.*one head"):
        vaw.describe(model)


def test_what_was_seen_and_the_way_out_are_said() -> None:
    with torch.device("meta"):
        model = timm.create_model("visformer_tiny")
    with pytest.raises(UnsupportedModelError, match=r"several lists of blocks .*vaw\.adapt\(model"):
        vaw.describe(model)
