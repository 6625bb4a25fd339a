"""How far integrated gradients miss the target's change: ``python benchmarks/completeness.py``.

On photographs of ``../shared/real`` with trained weights where they are, else on bundled scenes.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

import vit_attention_widget as vaw
from vit_attention_widget.models.images import ImageLike

REAL = Path(__file__).parents[2] / "shared" / "real"
WEIGHTS = REAL / "weights" / "vit_tiny_patch16_224.in1k.fp16.safetensors"
STEPS = (32, 64, 128)


def pictures() -> tuple[nn.Module, list[ImageLike]]:
    if not WEIGHTS.exists():
        return vaw.demo.load_model(), [vaw.demo.scene(seed=seed).image for seed in range(12)]
    import timm
    from safetensors.torch import load_file

    model = timm.create_model("vit_tiny_patch16_224").eval()
    state = {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}
    model.load_state_dict(state)
    return model, [*sorted((REAL / "imagenet").iterdir())[:12], REAL / "photos" / "both.png"]


def missed(model: nn.Module, image: ImageLike) -> Iterator[float]:
    """Share of the change from the mean color that is missed, for each number of steps."""
    trace = vaw.trace(model, image)
    index = trace.target.index
    assert index is not None
    with torch.no_grad():
        before = model(torch.zeros_like(trace.inputs))[0, index[0]]
    change = float(trace.logits[0, index[0]] - before)
    for steps in STEPS:
        values = vaw.explainers.integrated_gradients(trace, steps=steps).final
        yield abs(float(values.sum()) - change) / abs(change)


def main() -> None:
    warnings.simplefilter("ignore")
    model, images = pictures()
    table = [list(missed(model, image)) for image in images]
    print(f"{type(model).__name__}, {len(images)} pictures: share of the change that is missed")
    for steps, shares in zip(STEPS, zip(*table, strict=True), strict=True):
        low, median, high = min(shares), statistics.median(shares), max(shares)
        print(f"{steps:4} steps: {low:.2%} to {high:.2%}, median {median:.2%}")


if __name__ == "__main__":
    main()
