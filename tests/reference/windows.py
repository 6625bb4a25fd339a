"""Windowed attention written out: one token, one pair, one window at a time, from the weights."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

Place = tuple[int, int]


def windows_of(rows: int, cols: int, window: Place, shift: Place) -> list[list[Place | None]]:
    """Tokens of each window by their row and column in the image; None is padding."""
    windows: list[list[Place | None]] = []
    for top in range(0, rows, window[0]):
        for left in range(0, cols, window[1]):
            tokens: list[Place | None] = []
            for down in range(window[0]):
                for right in range(window[1]):
                    row, col = top + down, left + right
                    if row >= rows or col >= cols:
                        tokens.append(None)
                    else:
                        tokens.append(((row + shift[0]) % rows, (col + shift[1]) % cols))
            windows.append(tokens)
    return windows


def regions_of(rows: int, cols: int, window: Place, shift: Place) -> list[list[Place]]:
    """timm's regions of each window's tokens, padding too: those that differ do not meet."""

    def region(at: int, length: int, size: int, by: int) -> int:
        padded = math.ceil(length / size) * size
        if by == 0:
            return 0
        return int(at >= padded - size) + int(at >= padded - by)

    return [
        [
            (
                region(top + down, rows, window[0], shift[0]),
                region(left + right, cols, window[1], shift[1]),
            )
            for down in range(window[0])
            for right in range(window[1])
        ]
        for top in range(0, rows, window[0])
        for left in range(0, cols, window[1])
    ]


class SlowBlock:
    """One block of any Swin, run on its own input [batch, row, col, dim]."""

    def __init__(self, block: Any, inputs: Tensor) -> None:
        self.block, self.attn = block, block.attn
        self.kind = type(block).__name__
        first = self.kind == "SwinTransformerBlock"
        self.tokens = block.norm1(inputs) if first else inputs  # the second version norms later
        self.batch, self.rows, self.cols, self.dim = inputs.shape
        self.window, self.shift = tuple(block.window_size), tuple(block.shift_size)
        geometry = self.rows, self.cols, self.window, self.shift
        self.windows, self.regions = windows_of(*geometry), regions_of(*geometry)
        self.heads = self.attn.num_heads
        self.bias = self._biases()
        self._computed: dict[Place, tuple[Tensor, Tensor]] = {}

    def attention(self) -> Tensor:
        """[batch, window, head, query, key]."""
        by_image = []
        for image in range(self.batch):
            by_image.append([self._window(image, w)[0] for w in range(len(self.windows))])
        return torch.stack([torch.stack(some) for some in by_image])

    def branch(self) -> Tensor:
        """What attention and output projection make of the tokens, [batch, row, col, dim]."""
        out = torch.zeros_like(self.tokens)
        for image in range(self.batch):
            for w, tokens in enumerate(self.windows):
                attention, v = self._window(image, w)
                joined = (attention @ v).transpose(0, 1).reshape(len(tokens), -1)
                projected = self.attn.proj(joined)
                for i, place in enumerate(tokens):
                    if place is not None:
                        out[image, place[0], place[1]] = projected[i]
        return out

    def from_patch(self, attention: Tensor, row: int, col: int) -> Tensor:
        """[batch, head, row, col]."""
        out = torch.zeros(self.batch, self.heads, self.rows, self.cols, dtype=attention.dtype)
        for w, tokens in enumerate(self.windows):
            if (row, col) in tokens:
                query = tokens.index((row, col))
                for key, place in enumerate(tokens):
                    if place is not None:
                        out[:, :, place[0], place[1]] = attention[:, w, :, query, key]
        return out

    def received(self, attention: Tensor) -> Tensor:
        """[batch, head, row, col]."""
        out = torch.zeros(self.batch, self.heads, self.rows, self.cols, dtype=attention.dtype)
        for w, tokens in enumerate(self.windows):
            looking = [i for i, place in enumerate(tokens) if place is not None]
            for key, place in enumerate(tokens):
                if place is not None:
                    values = [attention[:, w, :, query, key] for query in looking]
                    out[:, :, place[0], place[1]] = sum(values) / len(looking)
        return out

    def _window(self, image: int, w: int) -> tuple[Tensor, Tensor]:
        """Attention [head, query, key] and values [head, token, head_dim] of one window, kept."""
        if (image, w) not in self._computed:
            self._computed[image, w] = self._attention_in(image, w)
        return self._computed[image, w]

    def _attention_in(self, image: int, w: int) -> tuple[Tensor, Tensor]:
        nothing = torch.zeros(self.dim, dtype=self.tokens.dtype)
        tokens = torch.stack(
            [nothing if p is None else self.tokens[image, p[0], p[1]] for p in self.windows[w]]
        )
        weight, bias = self.attn.qkv.weight, self.attn.qkv.bias
        if bias is None:
            bias = torch.cat([self.attn.q_bias, self.attn.k_bias, self.attn.v_bias])
        q, k, v = (tokens @ weight.T + bias).unflatten(-1, (3, self.heads, -1)).permute(1, 2, 0, 3)
        count = len(tokens)
        scores = torch.zeros(self.heads, count, count, dtype=tokens.dtype)
        for head in range(self.heads):
            for i in range(count):
                for j in range(count):
                    score = self._score(head, q[head, i], k[head, j]) + self.bias[i][j][head]
                    apart = self.regions[w][i] != self.regions[w][j]
                    scores[head, i, j] = score - (100 if apart else 0)
        return scores.softmax(-1), v

    def _score(self, head: int, q: Tensor, k: Tensor) -> Tensor:
        if self.kind == "SwinTransformerBlock":
            return (q * k).sum() / math.sqrt(len(q))
        scale = self.attn.logit_scale.flatten()[head].clamp(max=math.log(100)).exp()
        return F.cosine_similarity(q, k, dim=0) * scale

    def _biases(self) -> list[list[Tensor]]:
        height, width = self.window
        places = [(row, col) for row in range(height) for col in range(width)]
        return [[self._bias(a[0] - b[0], a[1] - b[1]) for b in places] for a in places]

    def _bias(self, down: int, right: int) -> Tensor:
        """One for each head."""
        height, width = self.window
        if self.kind == "SwinTransformerBlock":
            index = (down + height - 1) * (2 * width - 1) + right + width - 1
            return self.attn.relative_position_bias_table[index]
        signs = torch.tensor([down, right], dtype=torch.float64).sign()
        sizes = torch.tensor([down, right], dtype=torch.float64).abs()
        if self.kind == "SwinTransformerV2CrBlock":
            return self.attn.meta_mlp(signs * torch.log(1 + sizes))
        widest = torch.tensor([max(height - 1, 1), max(width - 1, 1)], dtype=torch.float64)
        coordinates = signs * torch.log2(8 * sizes / widest + 1) / math.log2(8)
        return 16 * torch.sigmoid(self.attn.cpb_mlp(coordinates))


def slow_blocks(model: nn.Module, inputs: Tensor) -> list[SlowBlock]:
    """Every block of a model on what it is given when the model runs."""
    stages = model.stages if hasattr(model, "stages") else model.layers
    blocks = [block for stage in stages for block in stage.blocks]
    given: dict[nn.Module, Tensor] = {}
    handles = [
        block.register_forward_pre_hook(lambda m, args: given.__setitem__(m, args[0]))
        for block in blocks
    ]
    with torch.no_grad():
        model(inputs)
        for handle in handles:
            handle.remove()
        return [SlowBlock(block, given[block]) for block in blocks]
