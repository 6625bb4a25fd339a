"""Gradients that begin in the last block, at the tokens that are read."""

from __future__ import annotations

import timm.models.vision_transformer as timm_vit
import torch
import torch.nn.functional as F  # noqa: N812
from models import BY_NAME
from torch import Tensor

import vit_attention_widget as vaw

heads: list[Tensor] = []


class _OneHeadBlind(timm_vit.Attention):
    """The class token attends to nothing with the first head."""

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, **_: object) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        sees = torch.ones(self.num_heads, tokens, tokens, dtype=torch.bool)
        sees[0, 0] = False
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=sees)
        heads.append(out)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, width))


def test_a_row_that_attends_to_nothing() -> None:
    """PyTorch gives it head outputs of 0, and a softmax of nothing but -inf would give nan."""
    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()
    for block in model.blocks:
        block.attn.__class__ = _OneHeadBlind
    heads.clear()
    logits = model(inputs)
    expected = torch.autograd.grad(logits[:, 1].sum(), list(heads))
    trace = vaw.trace(model, inputs, 1)
    for layer, gradient in enumerate(expected):
        torch.testing.assert_close(trace.output_gradient(layer), gradient)
