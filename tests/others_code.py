"""Literal stand-ins for the module structure of code that people have, small and written here.

They hold their parts under the names, and run them in the order, of official DINO, DINOv2, MAE,
BEiT, DeiT and OpenAI's CLIP; nothing else about them is alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import Tensor, nn

DIM, HEADS, PATCH, SIZE, GRID = 16, 2, 8, 32, 4


class Attention(nn.Module):
    """``qkv`` and ``proj``, written out; BEiT adds a bias of relative positions."""

    def __init__(self, relative: int = 0) -> None:
        super().__init__()
        self.num_heads, self.scale = HEADS, (DIM // HEADS) ** -0.5
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.attn_drop = nn.Dropout(0.1)
        self.relative_position_bias_table = (
            nn.Parameter(torch.zeros(HEADS, relative, relative)) if relative else None
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, count, dim = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.num_heads, dim // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attention = (q * self.scale) @ k.transpose(-2, -1)
        if self.relative_position_bias_table is not None:
            attention = attention + self.relative_position_bias_table.unsqueeze(0)
        attention = self.attn_drop(attention.softmax(dim=-1))
        return self.proj((attention @ v).transpose(1, 2).reshape(batch, count, dim))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(DIM, 32), nn.GELU(), nn.Linear(32, DIM)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, relative: int = 0) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(DIM), Attention(relative)
        self.norm2, self.mlp = nn.LayerNorm(DIM), Mlp()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.img_size, self.patch_size = (SIZE, SIZE), (PATCH, PATCH)
        self.proj = nn.Conv2d(3, DIM, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Dino(nn.Module):
    """DINO: the class token after the norm, through a head that is the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID**2, DIM))
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.norm, self.head = nn.LayerNorm(DIM), nn.Identity()

    def prepare_tokens(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        return torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed

    def forward(self, x: Tensor) -> Tensor:
        x = self.prepare_tokens(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class BlockChunk(nn.ModuleList):
    def forward(self, x: Tensor) -> Tensor:
        for block in self:
            x = block(x)
        return x


class Dino2(nn.Module):
    """DINOv2: registers after the class token, blocks in chunks, a dictionary of features."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.register_tokens = nn.Parameter(torch.zeros(1, 2, DIM))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID**2, DIM))
        chunks = [[Block(), Block()], [nn.Identity(), nn.Identity(), Block()]]
        self.blocks = nn.ModuleList([BlockChunk(chunk) for chunk in chunks])
        self.norm, self.head = nn.LayerNorm(DIM), nn.Identity()

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        registers = self.register_tokens.expand(len(x), -1, -1)
        x = torch.cat((x[:, :1], registers, x[:, 1:]), dim=1)
        for chunk in self.blocks:
            x = chunk(x)
        x = self.norm(x)
        return {"x_norm_clstoken": x[:, 0], "x_norm_patchtokens": x[:, 3:]}

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x)["x_norm_clstoken"])


class Beit(nn.Module):
    """BEiT, fine-tuned: no norm of tokens, but one of the patches' mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.blocks = nn.ModuleList([Block(1 + GRID**2) for _ in range(3)])
        self.norm, self.fc_norm = nn.Identity(), nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.fc_norm(self.norm(x)[:, 1:].mean(1)))


def _timm(**options: Any) -> dict[str, Any]:
    return {"img_size": SIZE, "patch_size": PATCH, "embed_dim": DIM, "depth": 3,
            "num_heads": HEADS, "num_classes": 5, **options}  # fmt: skip


class Mae(TimmVisionTransformer):
    """MAE's ``models_vit``: a subclass of timm's that averages patches in a code of its own."""

    def __init__(self) -> None:
        super().__init__(**_timm())
        self.global_pool, self.fc_norm = True, nn.LayerNorm(DIM)
        del self.norm

    def forward_features(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x[:, 1:, :].mean(dim=1))

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return self.head(self.forward_features(x))


class Deit(TimmVisionTransformer):
    """DeiT distilled: two tokens, two heads, and their mean."""

    def __init__(self) -> None:
        super().__init__(**_timm())
        self.dist_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embed = nn.Parameter(torch.zeros(1, 2 + GRID**2, DIM))
        self.head_dist = nn.Linear(DIM, 5)

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        x = self.patch_embed(x)
        tokens = self.cls_token.expand(len(x), -1, -1), self.dist_token.expand(len(x), -1, -1)
        x = torch.cat((*tokens, x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x[:, 0], x[:, 1]

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x, distilled = self.forward_features(x)
        return (self.head(x) + self.head_dist(distilled)) / 2


class ResidualAttentionBlock(nn.Module):
    """OpenAI's: [token, batch, dim], ``nn.MultiheadAttention``."""

    def __init__(self) -> None:
        super().__init__()
        self.attn, self.ln_1 = nn.MultiheadAttention(DIM, HEADS), nn.LayerNorm(DIM)
        self.mlp, self.ln_2 = Mlp(), nn.LayerNorm(DIM)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class OpenAiClip(nn.Module):
    """OpenAI's vision tower."""

    def __init__(self) -> None:
        super().__init__()
        self.input_resolution = SIZE
        self.conv1 = nn.Conv2d(3, DIM, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(DIM))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + GRID**2, DIM))
        self.ln_pre, self.ln_post = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.Sequential(*[ResidualAttentionBlock() for _ in range(3)])
        self.proj = nn.Parameter(torch.zeros(DIM, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)
        x = self.ln_pre(x + self.positional_embedding).permute(1, 0, 2)
        x = self.transformer.resblocks(x).permute(1, 0, 2)
        return self.ln_post(x[:, 0, :]) @ self.proj


class Framework(nn.Module):
    """As Lightning's modules hold a model, beside a loss; its forward passes images on."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.loss = Beit(), nn.CrossEntropyLoss()

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Normalizing(nn.Module):
    """A wrapper that normalizes images itself and returns a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Dino()
        self.fc = nn.Linear(DIM, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.fc(self.net((x - 0.5) / 0.5))}


class TwoTowers(nn.Module):
    """A CLIP of OpenAI's names: features of images are projected beside the tower."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = OpenAiClip()
        self.token_embedding = nn.Embedding(99, 6)
        self.image_projection = nn.Parameter(torch.zeros(8, 6))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, image: Tensor) -> Tensor:
        return self.visual(image) @ self.image_projection

    def encode_text(self, text: Tensor) -> Tensor:
        return self.token_embedding(text).mean(1)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        features = (self.encode_image(image), self.encode_text(text))
        images, texts = (nn.functional.normalize(f, dim=-1) for f in features)
        return self.logit_scale.exp() * images @ texts.T


Expected = tuple[tuple[str, ...], str, tuple[int, ...] | None, int]

READ: dict[str, tuple[Callable[[], nn.Module], Expected]] = {
    "DINO": (Dino, (("class",), "class", (0,), 0)),
    "DINOv2": (Dino2, (("class", "register 0", "register 1"), "class", (0,), 0)),
    "MAE": (Mae, (("class",), "mean", None, 5)),
    "BEiT": (Beit, (("class",), "mean", None, 5)),
    "DeiT distilled": (Deit, (("class", "distilled"), "class", (0, 1), 5)),
    "Lightning": (Framework, (("class",), "mean", None, 5)),
    "OpenAI's CLIP": (OpenAiClip, (("class",), "class", (0,), 0)),
    "a wrapper that normalizes": (Normalizing, (("class",), "class", (0,), 5)),
}
"""Models, and what must be found: prefix tokens, readout, its rows, number of classes."""
