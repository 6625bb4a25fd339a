"""What head importance and pruning cost against the naive ways.

``python -m benchmarks.heads`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
With ``--device cuda --dtype bfloat16`` it runs on a GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import timm
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.tracing.run import remask

from .measure import Ratio, Row, on_device, side_by_side, write_table

MODELS = ("vit_small_patch16_224", "vit_base_patch16_224")


def made(name: str, options: argparse.Namespace) -> tuple[nn.Module, Tensor]:
    dtype = getattr(torch, options.dtype)
    model = timm.create_model(name).eval().to(options.device, dtype)
    return model, torch.randn(1, 3, 224, 224, device=options.device, dtype=dtype)


def naive(model: nn.Module, images: Tensor, heads: list[tuple[int, int]]) -> Tensor:
    """One pass of the whole model a head, its output zeroed by a hook: [head, batch, class]."""
    outputs = []
    for layer, head in heads:
        attention = model.blocks[layer].attn
        at, width = head * attention.head_dim, attention.head_dim

        def drop(
            module: object, args: tuple[Tensor], at: int = at, width: int = width
        ) -> tuple[Tensor]:
            joined = args[0].clone()
            joined[..., at : at + width] = 0
            return (joined,)

        handle = attention.proj.register_forward_pre_hook(drop)
        with torch.no_grad():
            outputs.append(model(images).softmax(-1))
        handle.remove()
    return torch.stack(outputs)


def fewer_products(model: nn.Module, tokens: int) -> float:
    """How many times fewer multiplications ours needs than the naive loop, by counting them."""
    layers, block = len(model.blocks), model.blocks[0]
    dim, hidden = block.mlp.fc1.in_features, block.mlp.fc1.out_features
    qkv, attention = 3 * dim * dim * tokens, 2 * tokens * tokens * dim
    rest = (dim * dim + 2 * dim * hidden) * tokens
    whole = qkv + attention + rest
    row = rest / tokens  # the last block is finished for the class token alone
    row_attention = 2 * block.attn.num_heads * tokens * dim
    ours = row
    for layer in range(layers - 1):  # one head of each layer; all heads cost the same
        ours += rest + (layers - layer - 2) * whole + row_attention + row
    return layers * layers * whole / ours


def leave_one_out(name: str, options: argparse.Namespace) -> list[Row]:
    model, images = made(name, options)
    heads = [(i, h) for i, b in enumerate(model.blocks) for h in range(b.attn.num_heads)]
    metrics = ["probability", "jsd", "class_token_cosine", "loss", "accuracy"]
    runs = {
        "ours": lambda: vaw.head_importance(model, images),
        "five metrics": lambda: vaw.head_importance(model, images, metric=metrics),
        "naive": lambda: naive(model, images, heads),
    }
    ratios = side_by_side(runs, "ours", max(3, options.rounds // 2))
    bound = fewer_products(model, 197)
    goal = ">= 2.6" if options.device == "cpu" else ">= 10"
    return [
        Row(
            f"{name}: all {len(heads)} heads left out, one at a time",
            f"naive {ratios['naive']} x ours",
            goal,
        ),
        Row(f"{name}: multiplications of the naive loop, counted", f"{bound:.2f} x ours"),
        Row(f"{name}: five metrics against one", f"{ratios['five metrics']} x one"),
    ]


def toggling(name: str, options: argparse.Namespace) -> list[Row]:
    """A head of an early, a middle and the last layer switched off, the trace being there."""
    model, images = made(name, options)
    trace = vaw.trace(model, images)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    def toggled(layer: int) -> Callable[[], object]:
        return lambda: remask(trace, {layer: [0]}).probabilities

    last = len(model.blocks) - 1
    runs = {"forward": forward, **{str(at): toggled(at) for at in (0, last // 2, last)}}
    ratios = side_by_side(runs, "forward", options.rounds)
    ratios.pop("forward")
    return [
        Row(f"{name}: a head of layer {layer} toggled", f"{ratio} x forward")
        for layer, ratio in ratios.items()
    ]


def smaller(name: str, options: argparse.Namespace) -> list[Row]:
    """The forward pass of a model without half of its heads."""
    model, images = made(name, options)
    count = model.blocks[0].attn.num_heads
    half = {layer: list(range(0, count, 2)) for layer in range(len(model.blocks))}
    small = vaw.prune_heads(model, half)

    def passes(which: nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                which(images)

        return run

    ratio: Ratio = side_by_side(
        {"whole": passes(model), "small": passes(small)}, "whole", options.rounds
    )["small"]
    size = sum(p.numel() for p in small.parameters()) / sum(p.numel() for p in model.parameters())
    return [
        Row(f"{name}: forward pass without half of its heads", f"{ratio} x the whole model's"),
        Row(f"{name}: its parameters", f"{size:.2f} x the whole model's"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    on_device(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = []
    for name in MODELS:
        rows += leave_one_out(name, options) + toggling(name, options) + smaller(name, options)
    mark = "heads" if options.device == "cpu" else f"heads-{options.device}"
    write_table(rows, mark, options, keep=options.write)


if __name__ == "__main__":
    main()
