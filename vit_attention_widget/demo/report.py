"""The page that says how good the bundled model is, and which of its heads matter."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..tracing.masking import masked_heads
from .model import MEAN, STD, WEIGHTS
from .scenes import draw
from .shapes import KINDS

__all__ = ["head_table", "write_report"]


def head_table(model: nn.Module, count: int = 400, first_seed: int = 1_000_900_000) -> Tensor:
    """Fall in accuracy over fresh scenes when each head is removed, [layer, head]."""
    images, _, labels = draw(range(first_seed, first_seed + count))
    images = (images - MEAN[0]) / STD[0]

    def right() -> float:
        with torch.inference_mode():
            return float((model(images).argmax(-1) == labels).float().mean())

    blocks = list(model.blocks)  # type: ignore[arg-type]
    whole = right()
    table = torch.zeros(len(blocks), blocks[0].attn.num_heads)
    for layer in range(table.shape[0]):
        for head in range(table.shape[1]):
            with masked_heads(model, {layer: [head]}):
                table[layer, head] = whole - right()
    return table


def write_report(path: Path, log: list[str], share: float, minutes: float, heads: Tensor) -> None:
    """Write ``demo/README.md``."""
    rows = [
        f"| layer {layer} | " + " | ".join(f"{value:+.3f}" for value in row) + " |"
        for layer, row in enumerate(heads.tolist())
    ]
    columns = range(heads.shape[1])
    size = WEIGHTS.stat().st_size / 2**20
    path.write_text(
        f"""# The bundled model

A timm `VisionTransformer` (80 x 80 pixels, patches of 8, 6 layers x 4 heads, width 64) trained on
the procedural scenes of `scenes.py`: {", ".join(KINDS)}. This page is written by
`python -m vit_attention_widget.demo.train`.

**{share:.2%}** of 2,000 fresh scenes, whose seeds were never used for training, are named rightly,
judged on the stored weights ({size:.1f} MiB, half precision). Training took {minutes:.0f} minutes
on two CPU cores. While it trains, each patch token also predicts which of its pixels belong to the
object and what the object is, through layers that are thrown away; the classifier that is kept
sees the class token only.

## Which heads matter

Fall in accuracy over 400 fresh scenes when one head's output is zeroed:

| | {" | ".join(f"head {head}" for head in columns)} |
|---|{"---|" * len(columns)}
{chr(10).join(rows)}

## Training log

```
  step    loss  accuracy  minutes
{chr(10).join(log)}
```
"""
    )
