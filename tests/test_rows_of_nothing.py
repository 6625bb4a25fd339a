"""Tokens that attend to nothing: the model's mask hides every key from them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import timm.models.vision_transformer as timm_vit
import torch
import torch.nn.functional as F  # noqa: N812
from models import BY_NAME
from safetensors.numpy import load
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget.errors import CaptureError
from vit_attention_widget.explainers import METHODS
from vit_attention_widget.patterns.pooled_heads import pool_heads
from vit_attention_widget.session.payloads import attention_layer
from vit_attention_widget.tracing.checks.attention import check_attention
from vit_attention_widget.tracing.trace import Trace

PADDING = (3, 9)
LITERAL: list[Tensor] = []
"""Attention of each layer as it is meant, in the last pass, [batch, head, query, key]."""


def _mask(tokens: int, *, as_numbers: bool) -> Tensor:
    """Padding neither attends nor is attended to; nor does the class token in the first head."""
    sees = torch.ones(2, tokens, tokens, dtype=torch.bool)
    for token in PADDING:
        sees[:, token] = sees[:, :, token] = False
    sees[0, 0] = False
    return torch.zeros(sees.shape).masked_fill(~sees, -torch.inf).double() if as_numbers else sees


class _Padded(timm_vit.Attention):
    as_numbers = False

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, **_: object) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mask = _mask(tokens, as_numbers=self.as_numbers)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        literal = torch.zeros(batch, self.num_heads, tokens, tokens, dtype=x.dtype)
        for head in range(self.num_heads):
            for query in range(tokens):
                keys = _mask(tokens, as_numbers=False)[head, query].nonzero().flatten().tolist()
                if keys:
                    scores = (q[:, head, query, None] * k[:, head, keys]).sum(-1) * self.scale
                    literal[:, head, query, keys] = scores.softmax(-1).detach()
        LITERAL.append(literal)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, width))


class _PaddedByNumbers(_Padded):
    as_numbers = True


@cache
def _traced(kind: type[_Padded]) -> tuple[Trace, list[Tensor]]:
    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()
    for block in model.blocks:
        block.attn.__class__ = kind
    trace = vaw.trace(model, inputs, 1)
    LITERAL.clear()
    model(inputs)
    return trace, list(LITERAL)


@pytest.mark.parametrize("kind", [_Padded, _PaddedByNumbers])
def test_their_rows_are_0_as_their_head_outputs_are(kind: type[_Padded]) -> None:
    trace, literal = _traced(kind)
    for layer, expected in enumerate(literal):
        torch.testing.assert_close(trace.attention(layer), expected)
        for token in PADDING:
            assert (trace.layers[layer].out[:, :, token] == 0).all()
            assert (trace.attention(layer, query=token) == 0).all()


def test_rollout_keeps_them_as_they_are() -> None:
    trace, literal = _traced(_Padded)
    maps = vaw.explainers.rollout(trace)
    rolled = torch.eye(trace.tokens.num_tokens, dtype=torch.float64)
    for layer, attention in enumerate(literal):
        update = attention.mean(1) + torch.eye(trace.tokens.num_tokens, dtype=torch.float64)
        rolled = update / update.sum(-1, keepdim=True) @ rolled
        expected = trace.tokens.to_grid(rolled[:, 0])
        torch.testing.assert_close(maps.values[:, layer], expected)


@pytest.mark.parametrize("method", METHODS)
def test_no_map_has_nan(method: str) -> None:
    trace, _ = _traced(_Padded)
    assert METHODS[method](trace).values.isfinite().all()


def test_patterns_strength_and_what_is_sent_have_no_nan() -> None:
    trace, literal = _traced(_Padded)
    for pooled in pool_heads(trace).values():
        assert pooled.vectors.isfinite().all()
        assert pooled.scores.isfinite().all()
    strength = vaw.attention_strength(trace)
    assert strength.values.isfinite().all()
    assert strength.distance.isfinite().all()
    tensors = load(attention_layer(trace, 1))
    assert np.isfinite(tensors["scale"]).all()
    assert (tensors["attention"][:, PADDING[0]] == 0).all()
    assert tensors["attention"][0, 1].any() == bool(literal[1][0, 0, 1].any())


def test_outputs_of_them_that_are_not_0_are_refused() -> None:
    trace, _ = _traced(_Padded)
    layers = [*trace.layers]
    out = layers[2].out.detach().clone()
    out[:, 1, PADDING[0]] = layers[2].v[:, 1].mean(1).detach()  # as a kernel may
    layers[2] = replace(layers[2], out=out)
    with pytest.raises(CaptureError, match=r"layers \[2\] .* hides every key"):
        check_attention(layers, trace.model)
