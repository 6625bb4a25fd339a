"""What the core costs against the model's own forward pass.

``python -m benchmarks.core`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import timm
import torch

import vit_attention_widget as vaw

from .measure import in_fresh_process, side_by_side

METHODS = ("rollout", "gmar", "daam", "legrad")


def explainers(name: str, rounds: int) -> list[tuple[str, str, str]]:
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
        "rollout": lambda: vaw.explainers.rollout(vaw.trace(model, images, gradients=False)),
        "DAAM of another class, same trace": lambda: vaw.explainers.daam(kept.retarget(1)),
        "one patch in every head, same trace": lambda: [
            kept.attention(layer, query=50) for layer in range(kept.num_layers)
        ],
    }
    found = side_by_side(candidates, "forward", rounds)
    goals = {"rollout + GMAR + DAAM + LeGrad": "<= 2.6", "DAAM": "<= 2.3"}
    return [
        (f"{name}: {label}", f"{ratio} x forward", goals.get(label, ""))
        for label, ratio in found.items()
        if label != "forward"
    ]


def leave_one_out(name: str, rounds: int) -> list[tuple[str, str, str]]:
    """All heads removed one at a time, against the naive loop of one pass a head."""
    model = timm.create_model(name).eval()
    vit = vaw.describe(model)
    images = torch.randn(1, 3, 224, 224)
    heads = [(layer, head) for layer, n in enumerate(vit.num_heads) for head in range(n)]

    def naive() -> None:
        for layer, head in heads:
            attention = model.blocks[layer].attn
            width = attention.head_dim

            def drop(
                module: object,
                args: tuple[torch.Tensor],
                at: int = head * width,
                width: int = width,
            ) -> object:
                joined = args[0].clone()
                joined[..., at : at + width] = 0
                return (joined,)

            handle = attention.proj.register_forward_pre_hook(drop)
            with torch.no_grad():
                model(images).softmax(-1)
            handle.remove()

    found = side_by_side(
        {"ours": lambda: vaw.head_importance(model, images), "naive": naive}, "ours", rounds
    )
    return [
        (f"{name}: all {len(heads)} heads left out", f"naive {found['naive']} x ours", ">= 2.4")
    ]


def memory() -> list[tuple[str, str, str]]:
    """Extra peak memory at 197, 1,025 and 4,097 tokens of a ViT-S/16."""
    rows = []
    for patches in (196, 1024, 4096):
        found = in_fresh_process("benchmarks.memory", "daam", str(patches))
        goal = "<= 1.8 GiB" if patches == 4096 else ""
        rows.append(
            (
                f"ViT-S/16, {patches + 1:,} tokens: DAAM and one clicked patch",
                f"{found['extra'] / 1024:.2f} GiB extra",
                goal,
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
    rows += leave_one_out("vit_small_patch16_224", max(2, options.rounds // 3))
    rows += memory()
    lines = ["| question | measured | goal |", "|---|---|---|"]
    lines += [f"| {question} | {result} | {goal} |" for question, result, goal in rows]
    table = "\n".join(lines)
    print(table)
    if options.write:
        write(table, options)


def write(table: str, options: argparse.Namespace) -> None:
    """Put the table between its marks in ``benchmarks/README.md``."""
    page = Path(__file__).with_name("README.md")
    text = page.read_text() if page.exists() else "<!-- core -->\n<!-- /core -->\n"
    before, _, rest = text.partition("<!-- core -->")
    _, _, after = rest.partition("<!-- /core -->")
    setting = (
        f"Python {platform.python_version()}, torch {torch.__version__}, timm {timm.__version__}, "
        f"CPU, {options.threads} threads, median and quartiles of {options.rounds} rounds."
    )
    page.write_text(f"{before}<!-- core -->\n{setting}\n\n{table}\n<!-- /core -->{after}")


if __name__ == "__main__":
    main()
