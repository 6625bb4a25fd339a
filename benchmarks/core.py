"""What the core costs against the model's own forward pass.

``python -m benchmarks.core`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from unittest.mock import patch

import timm
import torch

import vit_attention_widget as vaw
from vit_attention_widget.tracing import run as tracing

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
        found = vaw.trace(model, images)
        for method in methods:
            vaw.explainers.METHODS[method](found)

    kept = vaw.trace(model, images)
    candidates = {
        "forward": forward,
        "rollout + GMAR + DAAM + LeGrad": lambda: ask(*METHODS),
        f"all {len(EVERY)} methods": lambda: ask(*EVERY),
        "DAAM": lambda: ask("daam"),
        "attention strength": lambda: vaw.attention_strength(
            vaw.trace(model, images, gradients=False)
        ),
        "rollout": lambda: vaw.explainers.rollout(vaw.trace(model, images, gradients=False)),
        "DAAM of another class, same trace": lambda: vaw.explainers.daam(kept.retarget(1)),
        "one patch in every head, same trace": lambda: [
            kept.attention(layer, query=50) for layer in range(kept.num_layers)
        ],
    }
    found = side_by_side(candidates, "forward", rounds)
    goals = {
        "rollout + GMAR + DAAM + LeGrad": "<= 2.3",
        f"all {len(EVERY)} methods": "<= 3.2",
        "DAAM": "<= 2.3",
        "attention strength": "<= 1.5",
    }
    return [
        Row(f"{name}: {label}", f"{ratio} x forward", goals.get(label, ""))
        for label, ratio in found.items()
        if label != "forward"
    ]


def checks(name: str, rounds: int) -> list[Row]:
    """What is held against the pass: a trace with checks against one without."""
    model = timm.create_model(name).eval()
    images = torch.randn(1, 3, 224, 224)
    read = vaw.trace(model, images).forward_pass.read
    silent = {
        "check_attention": lambda *args: None,
        "check_order": lambda *args: None,
        "heads_as_seen": lambda vit, *args: vit,
        "classes_as_seen": lambda vit, *args: vit,
        "readout_as_seen": lambda vit, *args: (vit, read),
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
    goals = {("click", 4096): "<= 1.8 GiB", ("strength", 4096): "<= 1.5 GiB"}
    for question, label in asked.items():
        for patches in (196, 1024, 4096):
            found = in_fresh_process("benchmarks.memory", question, str(patches))
            rows.append(
                Row(
                    f"ViT-S/16, {patches + 1:,} tokens: {label}",
                    f"{found['extra'] / 1024:.2f} GiB extra",
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
    for name in ("vit_base_patch16_224", "vit_tiny_patch16_224"):
        rows += checks(name, options.rounds)
    rows += memory()
    write_table(rows, "core", options, keep=options.write)


if __name__ == "__main__":
    main()
