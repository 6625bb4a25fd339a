"""How many heads the bundled model can spare, before and after recovery, and by whose order.

``python -m benchmarks.pruning`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
Beside our orders stand those of Torch-Pruning (``pip install torch-pruning``), all heads ranked
together; where it is not installed its rows say so.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import sys
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import vit_attention_widget as vaw
from vit_attention_widget.demo.train import normalized
from vit_attention_widget.pruning.budget.cost import flops, parameters
from vit_attention_widget.statistics.intervals import wilson_interval

from .measure import Row, on_device, said, write_table

Data = list[tuple[Tensor, int]]

ORDERS = ("taylor", "loss", "probability", "greedy")
PEERS = ("Taylor", "L1", "Hessian")
FIRST = 1_001_000_000
"""Seeds of scenes that the bundled model was neither trained nor judged on."""


class NoHeadsLeftError(Exception):
    """A layer lost all of its heads."""


def scenes(first: int, count: int) -> Data:
    drawn: Data = []
    for start in range(first, first + count, 100):
        seeds = range(start, min(start + 100, first + count))
        images, _, labels = vaw.demo.draw(seeds)
        drawn += zip(normalized(images), labels.tolist(), strict=True)
    return drawn


def right(model: nn.Module, data: Data) -> int:
    count = 0
    for start in range(0, len(data), 100):
        part = data[start : start + 100]
        with torch.inference_mode():
            picked = model(torch.stack([image for image, _ in part])).argmax(-1)
        count += int((picked == torch.tensor([label for _, label in part])).sum())
    return count


def share(count: int, total: int) -> str:
    low, high = wilson_interval(count, total)
    return f"{count / total:.3f} ({low:.3f} to {high:.3f})"


def measured(small: nn.Module, whole: nn.Module, held_out: Data) -> str:
    size = parameters(small) / parameters(whole)
    image = held_out[0][0][None]
    work = flops(vaw.describe(small), image) / flops(vaw.describe(whole), image)
    right_of = share(right(small, held_out), len(held_out))
    return f"accuracy {right_of}, parameters {size:.2f} x, FLOPs {work:.2f} x"


def first_gone(
    model: nn.Module, choosing: Data, order: str, count: int, seed: int = 0
) -> list[tuple[int, int]]:
    """The first ``count`` heads of one of our orders; fewer heads are its beginning."""
    return vaw.pruning_curve(model, choosing, order=order, steps=count, seed=seed).order


def by_torch_pruning(model: nn.Module, choosing: Data, name: str, count: int) -> nn.Module:
    """Without ``count`` heads, ranked over all layers by Torch-Pruning, as its ViT example does."""
    tp: Any = importlib.import_module("torch_pruning")
    importance: Any = {
        "Taylor": tp.importance.GroupTaylorImportance,
        "L1": lambda: tp.importance.GroupMagnitudeImportance(p=1),
        "Hessian": tp.importance.GroupHessianImportance,
    }[name]()
    small: Any = copy.deepcopy(model)
    attentions = [block.attn for block in small.blocks]
    for attention in attentions:
        attention.fused_attn = False  # its graph is traced operator by operator
    heads = {attention.qkv: attention.num_heads for attention in attentions}
    total = sum(heads.values())
    layers = [m for m in small.modules() if isinstance(m, nn.Linear | nn.Conv2d) and m not in heads]
    pruner = tp.pruner.BasePruner(
        small,
        choosing[0][0][None],
        importance,
        global_pruning=True,
        pruning_ratio=1e-6,  # of 0 it prunes no heads either
        ignored_layers=layers,
        num_heads=heads,
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=count / total,
    )
    if name in ("Taylor", "Hessian"):
        gradients(small, choosing, importance if name == "Hessian" else None)
    pruner.step()
    for attention in attentions:
        attention.num_heads = pruner.num_heads[attention.qkv]
        attention.attn_dim = attention.num_heads * attention.head_dim
        attention.fused_attn = True
    if not all(attention.num_heads for attention in attentions):
        raise NoHeadsLeftError("it takes every head of a layer, which its model cannot run without")
    left = sum(attention.num_heads for attention in attentions)
    if left != total - count:
        raise SystemExit(f"Torch-Pruning left {left} heads by {name}, another budget than ours.")
    return small.eval()


def gradients(model: nn.Module, data: Data, hessian: Any | None) -> None:
    """Of the cross-entropy on the choosing images; for the Hessian those of each image."""
    images, labels = torch.stack([i for i, _ in data]), torch.tensor([label for _, label in data])
    model.zero_grad()
    if hessian is None:
        cross_entropy(model(images), labels).backward()
        return
    hessian.zero_grad()
    for image, label in zip(images, labels, strict=True):
        model.zero_grad()
        cross_entropy(model(image[None]), label[None]).backward()
        hessian.accumulate_grad(model)


def orders(
    options: argparse.Namespace, model: nn.Module, choosing: Data, held_out: Data
) -> list[Row]:
    """The same numbers of heads, chosen by everyone."""
    total, rows = sum(vaw.describe(model).num_heads), []
    most = total - min(options.left)
    gone_by = {order: first_gone(model, choosing, order, most) for order in ORDERS}
    by_chance = [first_gone(model, choosing, "random", most, seed) for seed in range(options.seeds)]
    for left in options.left:
        gone, where = total - left, f"{left} of {total} heads left"
        runs = {
            f"ours, {order}": partial(vaw.prune_heads, model, heads[:gone])
            for order, heads in gone_by.items()
        }
        for name in PEERS:
            runs[f"Torch-Pruning, {name}"] = partial(by_torch_pruning, model, choosing, name, gone)
        for name, run in runs.items():
            try:
                text = measured(run(), model, held_out)
            except ModuleNotFoundError as error:
                text = f"not measured: {error.name} is not installed"
            except NoHeadsLeftError as error:
                text = f"not measured: {error}"
            rows.append(said(Row(f"{where}: {name}", text)))
        small = [vaw.prune_heads(model, heads[:gone]) for heads in by_chance]
        shares = [right(each, held_out) / len(held_out) for each in small]
        mean, low, high = sum(shares) / len(shares), min(shares), max(shares)
        text = f"accuracy {mean:.3f} ({low:.3f} to {high:.3f} of {len(shares)} seeds)"
        rows.append(said(Row(f"{where}: random order", text)))
    return rows


def recovery(
    options: argparse.Namespace, model: nn.Module, choosing: Data, held_out: Data
) -> list[Row]:
    """Heads that can go at 95 % of the accuracy, before and after recovery."""
    learn = vaw.FineTuning(epochs=options.epochs, learning_rate=options.rate)
    training = scenes(FIRST + 500_000, options.training)
    rows = []
    for order in options.recover_by:
        for name, finetune in (("without recovery", None), ("with recovery", learn)):
            pruned = vaw.prune_to(
                model, choosing, keep_accuracy=0.95, order=order, held_out=held_out,
                finetune=finetune, training=training, heads_per_round=options.heads_per_round,
            )  # fmt: skip
            accuracy, size, work, seconds = pruned.quantities[:4]
            text = (
                f"{len(pruned.heads)} of {sum(vaw.describe(model).num_heads)} heads, held-out "
                f"accuracy {accuracy.pruned[0]:.3f} ({accuracy.pruned[1]:.3f} to "
                f"{accuracy.pruned[2]:.3f}) of {accuracy.whole[0]:.3f}, parameters "
                f"{size.ratio:.2f} x, FLOPs {work.ratio:.2f} x, forward {seconds.ratio:.2f} x"
            )
            rows.append(said(Row(f"heads that can go at 95 %, by {order}, {name}", text)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    on_device(parser)
    parser.add_argument("--choosing", type=int, default=200)
    parser.add_argument("--held-out", type=int, default=1000)
    parser.add_argument("--training", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--heads-per-round", type=int, default=3)
    parser.add_argument("--left", type=int, nargs="*", default=[18, 12])
    parser.add_argument("--recover-by", nargs="*", default=["taylor"])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    write_table(table(options), "pruning", options, keep=options.write)


def table(options: argparse.Namespace) -> list[Row]:
    model = vaw.demo.load_model()
    choosing, held_out = scenes(FIRST, options.choosing), scenes(FIRST + 100_000, options.held_out)
    whole = share(right(model, held_out), len(held_out))
    print(f"whole model: {whole}", file=sys.stderr)
    rows = [Row("the whole model, 24 heads", f"accuracy {whole}")]
    rows += orders(options, model, choosing, held_out)
    return rows + recovery(options, model, choosing, held_out)


if __name__ == "__main__":
    main()
