"""Tiny timm models, one for each way of being a Vision Transformer, and how to make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import timm
import torch
from timm.layers import set_fused_attn
from torch import Tensor, nn


@dataclass(frozen=True)
class TinyModel:
    """A model of a few thousand parameters, and what is known of it."""

    name: str
    create: Callable[[], nn.Module]
    architecture: str = ""
    height: int = 32
    width: int = 32
    prefix: tuple[str, ...] = ("class",)
    rows: int = 4
    cols: int = 4
    heads: int = 2
    layers: int = 3
    readout: str = "class"

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """A new model with random weights, the same each time, in evaluation mode."""
        model = self.create()
        randomise(model)
        return model.to(dtype).eval()

    def inputs(self, batch: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
        """Random model input [batch, 3, height, width]."""
        generator = torch.Generator().manual_seed(seed)
        shape = batch, 3, self.height, self.width
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Give every parameter a value that matters: no head, bias or layer scale starts near zero."""
    generator = torch.Generator().manual_seed(seed)

    def noise(shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1:  # norms and layer scales around 1, biases around 0
                centre = 0.0 if "bias" in name else 1.0
                p.copy_(centre + 0.3 * noise(p.shape))
            elif p.ndim == 2 and ("weight" in name or name.endswith("proj")):
                gain = 2.0 if "qkv" in name or "q_proj" in name or "k_proj" in name else 1.0
                p.copy_(gain * noise(p.shape) * p.shape[-1] ** -0.5)
            elif p.ndim == 4 and "proj" in name:
                p.copy_(noise(p.shape) * p[0].numel() ** -0.5)
            else:  # tokens, position embeddings, bias tables
                p.copy_(0.5 * noise(p.shape))


def _timm(name: str, **options: Any) -> partial[nn.Module]:
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
    return partial(
        timm.create_model, name, pretrained=False, **{**settings, "num_classes": 5, **options}
    )


def _explicit(create: partial[nn.Module]) -> partial[nn.Module]:
    """Build while timm's fused attention is off: the modules remember it."""

    def build(name: str) -> nn.Module:
        set_fused_attn(False)
        try:
            return create()
        finally:
            set_fused_attn(True)

    return partial(build, create.args[0])


def _registers(count: int) -> tuple[str, ...]:
    return tuple(f"register {i}" for i in range(count))


def _m(name: str, create: partial[nn.Module], **known: Any) -> TinyModel:
    return TinyModel(name, create, create.args[0], **known)


CLASS_REG4 = ("class", *_registers(4))

TINY = [
    _m("vit", _timm("vit_tiny_patch16_224")),
    _m("vit-explicit", _explicit(_timm("vit_tiny_patch16_224"))),
    _m(
        "vit-non-square",
        _timm("vit_tiny_patch16_224", img_size=(24, 40), patch_size=(8, 4)),
        height=24,
        width=40,
        rows=3,
        cols=10,
    ),
    _m(
        "vit-dynamic",
        _timm("vit_tiny_patch16_224", dynamic_img_size=True),
        height=16,
        width=48,
        rows=2,
        cols=6,
    ),
    _m(
        "vit-dynamic-padded",
        _timm("vit_tiny_patch16_224", dynamic_img_size=True, dynamic_img_pad=True),
        height=20,
        width=30,
        rows=3,
        cols=4,
    ),
    _m("vit-avg", _timm("vit_base_patch16_gap_224"), prefix=(), readout="mean"),
    _m("vit-qk-norm", _timm("vit_tiny_patch16_224", qk_norm=True)),
    _m("vit-attn-norm", _timm("vit_tiny_patch16_224", scale_attn_norm=True, scale_mlp_norm=True)),
    _m("vit-pre-norm", _timm("vit_base_patch16_clip_224")),
    _m(
        "vit-no-embed-class",
        _timm("vit_tiny_patch16_224", no_embed_class=True, reg_tokens=2),
        prefix=("class", *_registers(2)),
    ),
    _m("test-vit2", _timm("test_vit2"), prefix=_registers(1), readout="mean"),
    _m("test-vit3", _timm("test_vit3"), prefix=_registers(1), readout="attention_pool"),
    _m("test-vit4", _timm("test_vit4"), prefix=_registers(1), readout="mean"),
    _m("deit-distilled", _timm("deit_tiny_distilled_patch16_224"), prefix=("class", "distilled")),
    _m("deit3", _timm("deit3_small_patch16_224")),
    _m("beit", _timm("beit_base_patch16_224"), readout="mean"),
    _m("beit-explicit", _explicit(_timm("beit_base_patch16_224")), readout="mean"),
    _m(
        "beit-shared-bias",
        _timm("beit_base_patch16_224", use_rel_pos_bias=False, use_shared_rel_pos_bias=True),
        readout="mean",
    ),
    _m(
        "beit-non-square",
        _timm("beit_base_patch16_224", img_size=(16, 40)),
        readout="mean",
        height=16,
        width=40,
        rows=2,
        cols=5,
    ),
    _m("relpos", _timm("vit_relpos_small_patch16_224"), prefix=(), readout="mean"),
    _m(
        "relpos-explicit",
        _explicit(_timm("vit_srelpos_small_patch16_224")),
        prefix=(),
        readout="mean",
    ),
    _m("eva", _timm("eva_giant_patch14_224"), readout="mean"),
    _m("eva02", _timm("eva02_base_patch14_224"), readout="mean"),
    _m("eva02-explicit", _explicit(_timm("eva02_base_patch14_224")), readout="mean"),
    _m("rope", _timm("vit_base_patch16_rope_224")),
    _m("rope-mixed", _timm("vit_base_patch16_rope_mixed_224")),
    _m(
        "rope-registers",
        _timm("vit_base_patch16_rope_reg1_gap_256"),
        prefix=_registers(1),
        readout="mean",
    ),
    _m("dinov2", _timm("vit_small_patch14_dinov2")),
    _m("dinov2-registers", _timm("vit_small_patch14_reg4_dinov2"), prefix=CLASS_REG4),
    _m("dinov3", _timm("vit_small_patch16_dinov3"), prefix=CLASS_REG4, readout="mean"),
    _m(
        "dinov3-dynamic",
        _timm("vit_small_patch16_dinov3"),
        prefix=CLASS_REG4,
        readout="mean",
        height=16,
        width=40,
        rows=2,
        cols=5,
    ),
    _m("siglip", _timm("vit_base_patch16_siglip_224"), prefix=(), readout="attention_pool"),
    _m(
        "siglip-explicit",
        _explicit(_timm("vit_base_patch16_siglip_224")),
        prefix=(),
        readout="attention_pool",
    ),
    _m(
        "map-registers",
        _timm("vit_so150m_patch16_reg4_map_256"),
        prefix=_registers(4),
        readout="attention_pool",
    ),
    _m("pe-core", _timm("vit_pe_core_tiny_patch16_384"), readout="attention_pool"),
]
TINY = [tiny for tiny in TINY if timm.is_model(tiny.architecture)]  # an older timm has fewer
BY_NAME = {tiny.name: tiny for tiny in TINY}

QUICK = {
    "vit",
    "vit-explicit",
    "vit-non-square",
    "beit",
    "relpos",
    "eva02",
    "rope-mixed",
    "dinov2-registers",
    "siglip",
    "pe-core",
}
"""One model of a kind: what is tested with all of them is slow with the others."""

MODELS = [
    pytest.param(tiny, id=tiny.name, marks=() if tiny.name in QUICK else pytest.mark.slow)
    for tiny in TINY
]
NAMES = [pytest.param(tiny.name, marks=each.marks) for tiny, each in zip(TINY, MODELS, strict=True)]
SOME = [
    pytest.param(BY_NAME[name], id=name)
    for name in (
        *("vit", "vit-explicit", "deit-distilled", "beit"),
        *("eva02", "dinov3", "siglip", "relpos"),
    )
]
"""A few that differ as much as all do, for what takes long."""
