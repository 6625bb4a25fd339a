"""What the core costs against the model's own forward pass.

``python -m benchmarks.core`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from functools import partial
from unittest.mock import patch

import timm
import torch

import vit_attention_widget as vaw
from vit_attention_widget.tracing import run as tracing

from .counted import multiplications
from .measure import Row, in_fresh_process, side_by_side, write_table

METHODS = ("rollout", "gmar", "daam", "legrad")
EVERY = tuple(vaw.explainers.METHODS)


def explainers(name: str, rounds: int) -> list[Row]:
    """One image: each question against one plain forward pass."""
    model = timm.create_model(name).eval()
    images = torch.randn(1, 3, 224, 224)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    def ask(*methods: str) -> None:
        trace = vaw.trace(model, images)
        for method in methods:
            vaw.explainers.METHODS[method](trace)

    kept = vaw.trace(model, images)
    candidates = {
        "forward": forward,
        label(METHODS): lambda: ask(*METHODS),
        label(EVERY): lambda: ask(*EVERY),
        "DAAM": lambda: ask("daam"),
        "attention strength": lambda: vaw.attention_strength(
            vaw.trace(model, images, gradients=False)
        ),
        "rollout": lambda: vaw.explainers.rollout(vaw.trace(model, images, gradients=False)),
        "DAAM of another class, same trace": lambda: vaw.explainers.daam(kept.retarget(1)),
        "LeGrad, same trace": lambda: vaw.explainers.legrad(kept),
        "one patch in every head, same trace": lambda: [
            kept.attention(layer, query=50) for layer in range(kept.num_layers)
        ],
    }
    ratios = side_by_side(candidates, "forward", rounds)
    goals = {
        label(METHODS): "<= 2.3",
        label(EVERY): "<= 3.2",
        "DAAM": "<= 2.3",
        "attention strength": "<= 1.5",
    }
    return [
        Row(f"{name}: {question}", f"{ratio} x forward", goals.get(question, ""))
        for question, ratio in ratios.items()
        if question != "forward"
    ]


def counted(name: str, side: int, *asked: tuple[str, ...]) -> list[Row]:
    """Multiplications of some methods against a forward pass's, on images of ``side`` pixels."""
    model = timm.create_model(name, img_size=side).eval()
    images = torch.randn(1, 3, side, side)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    def ask(methods: tuple[str, ...]) -> None:
        trace = vaw.trace(model, images)
        for method in methods:
            vaw.explainers.METHODS[method](trace)

    whole, tokens = multiplications(forward), (side // 16) ** 2 + 1
    return [
        Row(
            f"{name}, {tokens:,} tokens: multiplications of {label(methods)}, counted",
            f"{multiplications(partial(ask, methods)) / whole:.2f} x forward",
        )
        for methods in asked
    ]


def label(methods: tuple[str, ...]) -> str:
    """How a table names some methods."""
    names = {METHODS: "rollout + GMAR + DAAM + LeGrad", EVERY: f"all {len(EVERY)} methods"}
    return names.get(methods, "DAAM")


def checks(name: str, rounds: int) -> list[Row]:
    """What is held against the pass: a trace with checks against one without."""
    model = timm.create_model(name).eval()
    images = torch.randn(1, *model.default_cfg["input_size"])
    read = vaw.trace(model, images).forward_pass.read
    silent = {
        "check_attention": lambda *args: None,
        "check_order": lambda *args: None,
        "heads_as_seen": lambda vit, *args: vit,
        "classes_as_seen": lambda vit, *args: vit,
        "readout_as_seen": lambda vit, *args, **options: (vit, read),
    }

    def without() -> None:
        with ExitStack() as stack:
            for check, nothing in silent.items():
                stack.enter_context(patch.object(tracing, check, nothing))
            vaw.trace(model, images)

    candidates = {"without": without, "with": lambda: vaw.trace(model, images)}
    ratio = side_by_side(candidates, "without", rounds)["with"]
    return [Row(f"{name}: trace with its checks", f"{ratio} x without", "<= 1.03")]


def memory() -> list[Row]:
    """Peak memory above the model at rest, at 197, 1,025 and 4,097 tokens of a ViT-S/16."""
    rows = []
    asked = {
        "forward": "one forward pass",
        "click": "DAAM and one clicked patch",
        "strength": "attention strength",
    }
    goals = {("click", 4096): "<= 0.9 GiB", ("strength", 4096): "<= 1.5 GiB"}
    for question, words in asked.items():
        for patches in (196, 1024, 4096):
            measured = in_fresh_process("benchmarks.memory", question, str(patches))
            rows.append(
                Row(
                    f"ViT-S/16, {patches + 1:,} tokens: {words}",
                    f"{measured['extra'] / 1024:.2f} GiB extra",
                    goals.get((question, patches), ""),
                )
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = explainers("vit_base_patch16_224", options.rounds)
    rows += counted("vit_base_patch16_224", 224, ("daam",), METHODS, EVERY)
    rows += counted("vit_small_patch16_224", 1024, ("daam",))
    for name in ("vit_base_patch16_224", "vit_tiny_patch16_224"):
        rows += checks(name, options.rounds)
    rows += memory()
    write_table(rows, "core", options, keep=options.write)


if __name__ == "__main__":
    main()
