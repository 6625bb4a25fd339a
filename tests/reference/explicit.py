"""A timm Vision Transformer run by hand: explicit softmax attention, every matrix kept."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from timm.layers import AttentionPoolLatent
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from torch import Tensor, nn


@dataclass
class Record:
    """What one forward pass left behind, all of it part of one autograd graph."""

    logits: Tensor
    attention: list[Tensor]  # per layer [B, H, N, N], rows = query
    values: list[Tensor]  # per layer [B, H, N, d]
    head_outputs: list[Tensor]  # per layer [B, H, N, d], before the output projection
    tokens: list[Tensor]  # per layer [B, N, D], after the block
    pool_attention: Tensor | None = None  # [B, H, latent, N] where a model pools by attention
    inputs: list[Tensor] = field(default_factory=list)  # per layer [B, N, D], before the block
    normed: list[Tensor] = field(default_factory=list)  # per layer [B, N, D], after the first norm


class ExplicitAttention(nn.Module):
    """Stands in for a timm attention module and writes down softmax(q k^T / sqrt(d) + bias) v."""

    def __init__(
        self, original: nn.Module, switched_off: Collection[int] = (), cut: bool = False
    ) -> None:
        super().__init__()
        self.original = original
        self.switched_off = list(switched_off)
        self.cut = cut
        self.attention: Tensor
        self.values: Tensor
        self.head_outputs: Tensor

    def _queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        m = self.original
        if m.qkv is None:
            parts = [m.q_proj(x), m.k_proj(x), m.v_proj(x)]
        else:
            joined = m.qkv(x)
            if getattr(m, "q_bias", None) is not None:
                joined = joined + torch.cat([m.q_bias, m.k_bias, m.v_bias])
            parts = list(joined.chunk(3, dim=-1))
        batch, tokens, _ = x.shape
        q, k, v = (
            part.reshape(batch, tokens, m.num_heads, -1).permute(0, 2, 1, 3) for part in parts
        )
        if hasattr(m, "q_norm"):
            q, k = m.q_norm(q), m.k_norm(k)
        return q, k, v

    def forward(
        self,
        x: Tensor,
        rope: Tensor | None = None,
        shared_rel_pos_bias: Tensor | None = None,
        shared_rel_pos: Tensor | None = None,
        attn_mask: None = None,
        is_causal: bool = False,
    ) -> Tensor:
        assert attn_mask is None
        assert not is_causal
        m = self.original
        q, k, v = self._queries_keys_values(x)
        if rope is not None:
            prefix = m.num_prefix_tokens
            q, k = (
                torch.cat(
                    [
                        t[:, :, :prefix],
                        apply_rot_embed_cat(t[:, :, prefix:], rope, half=m.rotate_half),
                    ],
                    dim=2,
                )
                for t in (q, k)
            )
        scores = torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5
        if getattr(m, "relative_position_bias_table", None) is not None:
            scores = scores + m._get_rel_pos_bias()
        if getattr(m, "rel_pos", None) is not None:
            scores = scores + m.rel_pos.get_bias()
        for shared in (shared_rel_pos_bias, shared_rel_pos):
            if shared is not None:
                scores = scores + shared
        if self.cut:  # the record holds the heads that are there, and no others
            there = [head for head in range(m.num_heads) if head not in self.switched_off]
            self.attention, self.values = scores[:, there].softmax(dim=-1), v[:, there]
            self.head_outputs = torch.einsum("bhij,bhjd->bhid", self.attention, self.values)
            out = torch.zeros_like(v).index_copy(1, torch.tensor(there), self.head_outputs)
            return self._finished(x, out)
        self.attention = scores.softmax(dim=-1)
        self.values = v
        out = torch.einsum("bhij,bhjd->bhid", self.attention, v)
        if self.switched_off:
            keep = torch.ones(m.num_heads, dtype=out.dtype)
            keep[self.switched_off] = 0
            out = out * keep[:, None, None]
        self.head_outputs = out
        return self._finished(x, out)

    def _finished(self, x: Tensor, out: Tensor) -> Tensor:
        m = self.original
        joined = out.permute(0, 2, 1, 3).flatten(2)
        if getattr(m, "norm", None) is not None:
            joined = m.norm(joined)
        if getattr(m, "gate", None) is not None:
            joined = joined * torch.sigmoid(m.gate(x))
        return m.proj(joined)


class ExplicitPool(nn.Module):
    """Stands in for timm's `AttentionPoolLatent`."""

    def __init__(self, original: AttentionPoolLatent) -> None:
        super().__init__()
        self.original = original
        self.attention: Tensor

    def forward(self, x: Tensor) -> Tensor:
        m = self.original
        if m.pos_embed is not None:
            x = x + m.pos_embed
        batch, tokens, _ = x.shape
        q = m.q(m.latent).reshape(1, m.latent_len, m.num_heads, -1).permute(0, 2, 1, 3)
        k, v = (
            part.reshape(batch, tokens, m.num_heads, -1).permute(0, 2, 1, 3)
            for part in m.kv(x).chunk(2, dim=-1)
        )
        q, k = m.q_norm(q), m.k_norm(k)
        scores = torch.einsum("bhid,bhjd->bhij", q.expand(batch, -1, -1, -1), k)
        self.attention = (scores / q.shape[-1] ** 0.5).softmax(dim=-1)
        out = torch.einsum("bhij,bhjd->bhid", self.attention, v)
        x = m.proj(out.permute(0, 2, 1, 3).flatten(2))
        if m.mlp is not None:
            x = x + m.mlp(m.norm(x))
        return x[:, 0] if m.pool == "token" else x.mean(1)


@dataclass
class ExplicitViT:
    """A float64 copy of a timm model whose attention is written out.

    Parameters
    ----------
    source
        The model; it is copied.
    switched_off
        Heads whose output is zero before the output projection, by layer.
    cut
        Leave these heads out of the record, as if the others were all.
    """

    source: nn.Module
    switched_off: dict[int, Collection[int]] = field(default_factory=dict)
    cut: bool = False

    def __post_init__(self) -> None:
        self.model = copy.deepcopy(self.source).double().eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        for layer, block in enumerate(self.model.blocks):
            off = self.switched_off.get(layer, ())
            block.attn = ExplicitAttention(block.attn, off, self.cut)
        self.pool: ExplicitPool | None = None
        if getattr(self.model, "attn_pool", None) is not None:
            self.pool = self.model.attn_pool = ExplicitPool(self.model.attn_pool)

    def __call__(self, inputs: Tensor) -> Record:
        """Run the model on inputs [B, 3, height, width]."""
        tokens: list[Tensor] = []
        inputs_of: list[Tensor] = []
        normed: list[Tensor] = []
        handles = [
            block.register_forward_hook(lambda _m, _a, out: tokens.append(out))
            for block in self.model.blocks
        ] + [
            hook
            for block in self.model.blocks
            for hook in (
                block.register_forward_pre_hook(lambda _m, args: inputs_of.append(args[0])),
                block.norm1.register_forward_hook(lambda _m, _a, out: normed.append(out)),
            )
        ]
        logits = self.model(inputs.double())
        for handle in handles:
            handle.remove()
        attention = [block.attn for block in self.model.blocks]
        return Record(
            logits,
            [a.attention for a in attention],
            [a.values for a in attention],
            [a.head_outputs for a in attention],
            tokens,
            None if self.pool is None else self.pool.attention,
            inputs_of,
            normed,
        )

    @property
    def prefix(self) -> int:
        """Number of tokens before the first patch."""
        return int(self.model.num_prefix_tokens)

    def readout(self, tokens: Tensor, kind: str = "model") -> Tensor:
        """Logits [B, C] of a layer's tokens [B, N, D], by the model's own norm and head."""
        model = self.model
        if kind == "model":
            return model.forward_head(model.norm(tokens))
        vector = tokens.mean(dim=1) if kind == "mean" else tokens[:, 0]
        return model.head(model.fc_norm(model.norm(vector[:, None])[:, 0]))


def score(logits: Tensor, target: list[int] | Tensor) -> Tensor:
    """y: the logit of each image's target, summed, since images do not touch each other.

    With weights [B, D] instead of classes: the weighted sum of all that the model returns.
    """
    if isinstance(target, Tensor):
        return (logits * target).sum()
    return logits[torch.arange(len(target)), target].sum()


def gradients(y: Tensor, of: list[Tensor]) -> list[Tensor]:
    """dy/dt for each tensor, zero where y does not depend on it."""
    gradient = torch.autograd.grad(y, of, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(of, gradient, strict=True)]
