"""Train the bundled model: ``python -m vit_attention_widget.demo.train``.

Everything follows from the seed. While training, each patch token also says, through two layers
that are thrown away afterwards, which of its pixels belong to the object and, where they do, what
the object is: outlines are learned many times sooner so. The weights are stored in half precision
and judged as stored.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from timm.layers import build_sincos2d_pos_embed  # type: ignore[attr-defined]
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from .model import MEAN, PATCH, STD, WEIGHTS, build_model, load_model
from .report import head_table, write_report
from .scenes import IMAGE_SIZE, draw

__all__ = ["accuracy", "main", "train"]

SPREADS = {0.0: 0.15, 0.2: 0.5, 0.4: 0.8, 0.55: 1.0}
"""Share of the training after which objects spread so far over the picture."""

_FRESH = 1_000_000_000
"""Seeds from here on are never used for training."""


def normalized(images: Tensor) -> Tensor:
    """Pictures in [0, 1] as the model takes them."""
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def accuracy(model: nn.Module, count: int, first_seed: int = _FRESH) -> float:
    """Share of fresh scenes that the model names rightly."""
    right = 0
    with torch.inference_mode():
        for start in range(0, count, 100):
            seeds = range(first_seed + start, first_seed + min(start + 100, count))
            images, _, labels = draw(seeds)
            right += int((model(normalized(images)).argmax(-1) == labels).sum())
    return right / count


class Pool:
    """Scenes drawn once, seen many times: mirrored and with their colors exchanged."""

    def __init__(self, count: int, seed: int, spread: float) -> None:
        self.images = torch.empty(count, 3, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.uint8)
        self.masks = torch.empty(count, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.bool)
        self.labels = torch.empty(count, dtype=torch.long)
        for start in range(0, count, 100):
            part = slice(start, min(start + 100, count))
            images, masks, labels = draw(range(seed + part.start, seed + part.stop), spread=spread)
            self.images[part] = (images * 255).round().to(torch.uint8)
            self.masks[part] = masks > 0.5
            self.labels[part] = labels

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images [size, 3, H, W], masks by patch [size, patch, pixel], labels [size]."""
        index = torch.randint(len(self.labels), (size,), generator=generator)
        images, masks = self.images[index], self.masks[index]
        if torch.rand((), generator=generator) < 0.5:
            images, masks = images.flip(3), masks.flip(2)
        images = images[:, torch.randperm(3, generator=generator)]
        by_patch = F.unfold(masks[:, None].float(), PATCH, stride=PATCH).transpose(1, 2)
        return normalized(images.float() / 255), by_patch, self.labels[index]


def start_well(model: Any) -> None:
    """Begin with tokens that know their place, and heads that look at what is like themselves.

    Positions are sines and cosines of row and column; queries and keys of a head begin equal
    (in the spirit of mimetic initialisation, Trockman and Kolter 2023).
    """
    rows, cols = model.patch_embed.grid_size
    places = build_sincos2d_pos_embed([rows, cols], dim=model.embed_dim, temperature=100.0)
    with torch.no_grad():
        model.pos_embed[:, 1:] = places
        for block in model.blocks:
            width = block.attn.head_dim
            for head in range(block.attn.num_heads):
                basis = torch.linalg.qr(torch.randn(model.embed_dim, width))[0].T
                for part in (0, block.attn.attn_dim):  # queries, then keys
                    start = part + head * width
                    block.attn.qkv.weight[start : start + width] = basis


def train(steps: int, batch: int, pool: int, rate: float, seed: int) -> tuple[nn.Module, list[str]]:
    """Train from nothing; returns the model and the log's lines."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    model: VisionTransformer = build_model()
    start_well(model)
    outline = nn.Linear(model.embed_dim, PATCH * PATCH)
    kind = nn.Linear(model.embed_dim, model.num_classes)
    weights = [p for module in (model, outline, kind) for p in module.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: _share_of_rate(i, steps))
    begins = {int(share * steps): spread for share, spread in SPREADS.items()}
    log = []
    for step in range(steps):
        if step in begins:
            count = pool if begins[step] == 1 else pool // 3
            first = seed * 10_000_000 + step * 1000
            scenes = Pool(count, first, begins[step])
        images, masks, labels = scenes.batch(batch, generator)
        tokens = model.forward_features(images)
        patches = tokens[:, model.num_prefix_tokens :]
        decision = F.cross_entropy(model.forward_head(tokens), labels, label_smoothing=0.05)
        image, patch = torch.nonzero(masks.mean(-1) > 0.2, as_tuple=True)
        loss = (
            decision
            + F.binary_cross_entropy_with_logits(outline(patches), masks)
            + F.cross_entropy(kind(patches[image, patch]), labels[image])
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0 or step + 1 == steps:
            model.eval()
            share = accuracy(model, 300, first_seed=_FRESH + 500_000)
            model.train()
            minutes = (time.perf_counter() - started) / 60
            log.append(f"{step + 1:6d} {decision.item():7.3f} {share:9.3f} {minutes:8.1f}")
            print(log[-1], flush=True)
            save(model, WEIGHTS.with_suffix(".partial"))
    return model.eval(), log


def _share_of_rate(step: int, steps: int) -> float:
    """A short rise, then a straight fall to nothing."""
    return min(1.0, (step + 1) / 150) * (1 - step / steps)


def save(model: nn.Module, path: Path) -> None:
    """Write the weights in half precision."""
    save_file({n: t.half().contiguous() for n, t in model.state_dict().items()}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=17_000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pool", type=int, default=24_000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    model, log = train(options.steps, options.batch, options.pool, options.rate, options.seed)
    save(model, WEIGHTS)
    WEIGHTS.with_suffix(".partial").unlink()
    minutes = (time.perf_counter() - started) / 60
    stored = load_model()
    share = accuracy(stored, 2000)
    write_report(Path(__file__).with_name("README.md"), log, share, minutes, head_table(stored))
    print(f"{share:.2%} of 2,000 fresh scenes, {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
