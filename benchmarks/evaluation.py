"""How faithful every method's maps are, and how well they lie on the object.

``python -m benchmarks.evaluation`` prints the report; ``--write`` puts it into
``benchmarks/README.md`` and its pictures into ``benchmarks/plots``. ``--scenes N`` is the number of
scenes. Real photographs are read from ``../shared/real`` where it is there.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.evaluation import FAITHFULNESS, LOCALIZATION, SanityCheck

from .evaluation_report import draw, page
from .measure import write_between

HERE = Path(__file__).parent
REAL = HERE.parents[1] / "shared" / "real"
FIRST_SEED = 1_500_000_000  # neither trained on nor used elsewhere
FILLS = ("blur", "mean", "noise")


@dataclass(frozen=True)
class Report:
    """One table: what was looked at, and what came of it."""

    title: str
    evaluation: vaw.Evaluation
    minutes: float


def timed(title: str, run: Callable[[], vaw.Evaluation]) -> Report:
    started = time.perf_counter()
    table = run()
    minutes = (time.perf_counter() - started) / 60
    print(f"{title}: {len(table)} images, {minutes:.1f} minutes", flush=True)
    return Report(title, table, minutes)


def of_scenes(count: int, steps: int, fill_scenes: int) -> list[Report]:
    """The bundled model on scenes that it was not trained on, by their true class and mask."""
    model = vaw.demo.load_model()
    scenes = [vaw.demo.scene(seed=FIRST_SEED + i) for i in range(count)]
    pictures, labels = [s.image for s in scenes], [s.label for s in scenes]
    masks = [s.mask for s in scenes]
    few = slice(0, fill_scenes)
    return [
        timed(
            "Bundled model, scenes",
            lambda: vaw.evaluate(model, pictures, labels, masks=masks, steps=steps),
        ),
        timed(
            "Bundled model, scenes: what hidden patches become",
            lambda: vaw.evaluate(
                model, pictures[few], target=labels[few], metrics=["insertion", "deletion"],
                fill=FILLS, steps=steps,
            ),
        ),
    ]  # fmt: skip


def of_photographs(steps: int, limit: int | None) -> list[Report]:
    """A ViT-Tiny trained on ImageNet: pets by mask, ImageNet's photographs by class."""
    model, rows = vit_tiny(), manifest()
    pets = [row for row in rows if row["mask"]][:limit]
    photographs = [row for row in rows if row["file"].startswith("imagenet/")][:limit]
    return [
        timed(
            "ViT-Tiny/16, photographs of pets",
            lambda: vaw.evaluate(
                model,
                [squeezed(REAL / row["file"]) for row in pets],
                masks=[squeezed_mask(REAL / row["mask"]) for row in pets],
                metrics=LOCALIZATION,
                ignore=128,
            ),
        ),
        timed(
            "ViT-Tiny/16, photographs of ImageNet",
            lambda: vaw.evaluate(
                model,
                [REAL / row["file"] for row in photographs],
                target=[int(row["imagenet_class"]) for row in photographs],
                metrics=FAITHFULNESS,
                steps=steps,
            ),
        ),
    ]


def of_randomized_weights(images: int, real: bool) -> dict[str, SanityCheck]:
    """What is left of the maps as the models' weights are randomized."""
    scenes = [vaw.demo.scene(seed=FIRST_SEED + i).image for i in range(images)]
    checks = {"bundled model": evaluation.sanity_check(vaw.demo.load_model(), scenes)}
    if real:
        rows = [row for row in manifest() if row["file"].startswith("imagenet/")]
        photographs = [REAL / row["file"] for row in rows[:images]]
        checks["ViT-Tiny/16"] = evaluation.sanity_check(vit_tiny(), photographs)
    return checks


def vit_tiny() -> nn.Module:
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    weights = load_file(REAL / "weights" / "vit_tiny_patch16_224.in1k.fp16.safetensors")
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval()


def manifest() -> list[dict[str, str]]:
    with (REAL / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def squeezed(path: Path) -> Tensor:
    """The whole picture as model input [3, 224, 224], as the figures of ``../shared/real`` take it.

    The model's own preprocessing would cut off what is not in the middle.
    """
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1


def squeezed_mask(path: Path) -> np.ndarray:
    with Image.open(path) as mask:
        return np.array(mask.resize((224, 224), Image.Resampling.NEAREST))


def measure(options: argparse.Namespace) -> tuple[list[Report], dict[str, SanityCheck], list[str]]:
    reports = of_scenes(options.scenes, options.steps, min(options.fill_scenes, options.scenes))
    real = (REAL / "manifest.csv").is_file()
    skipped = [] if real else ["photographs of pets and of ImageNet: ../shared/real is not there"]
    if real:
        reports += of_photographs(options.steps, options.photographs)
    return reports, of_randomized_weights(options.sanity_images, real), skipped


def main(arguments: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--fill-scenes", type=int, default=100, help="on which fills are compared")
    parser.add_argument("--photographs", type=int, default=None, help="of each set; all by default")
    parser.add_argument("--sanity-images", type=int, default=12)
    parser.add_argument("--steps", type=int, default=10, help="of insertion and deletion")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    reports, checks, skipped = measure(options)
    text = page(reports, checks, skipped, options.steps, options.threads)
    print(text)
    if options.write:
        write_between("evaluation", text)
        draw(reports, checks, HERE / "plots")
    return text


if __name__ == "__main__":
    main()
