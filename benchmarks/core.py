"""What the core costs against the model's own forward pass.

``python -m benchmarks.core`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse

import timm
import torch

import vit_attention_widget as vaw

from .measure import Row, in_fresh_process, side_by_side, write_table

METHODS = ("rollout", "gmar", "daam", "legrad")


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
        "rollout + GMAR + DAAM + LeGrad": "<= 2.6",
        "DAAM": "<= 2.3",
        "attention strength": "<= 1.5",
    }
    return [
        Row(f"{name}: {label}", f"{ratio} x forward", goals.get(label, ""))
        for label, ratio in found.items()
        if label != "forward"
    ]


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
    rows += memory()
    write_table(rows, "core", options, keep=options.write)


if __name__ == "__main__":
    main()
