"""Ours beside the tools and rules that come near it, on the same model and image.

``python -m benchmarks.peers`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
What is compared in time is compared in its values first.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout

import timm
import torch
from timm.utils import AttentionExtract
from torch import Tensor, nn

import vit_attention_widget as vaw

from .heads import naive
from .measure import Row, in_fresh_process, side_by_side, write_table
from .published import RULES, explicit_copy, kept

FOUR = ("rollout", "gmar", "daam", "legrad")
CLASS = 7

Run = Callable[[], object]


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """Correlation of two maps, 1 for the same up to scale."""
    both = torch.stack([ours.flatten().float(), theirs.flatten().float()])
    return float(torch.corrcoef(both.detach())[0, 1])


def beside(label: str, ours: Run, theirs: Run, rounds: int, goal: str = "> 1") -> Row:
    """One line: their time as a multiple of ours."""
    found = side_by_side({"ours": ours, "theirs": theirs}, "ours", rounds)
    return Row(label, f"{found['theirs']} x ours", goal)


def checked(label: str, ours: Tensor, theirs: Tensor, least: float = 0.999) -> None:
    """Refuse to time what does not agree."""
    found = agreement(ours, theirs)
    if not found > least:
        raise SystemExit(f"{label}: the maps do not agree ({found:.4f}), so times say nothing.")


class Scene:
    """A model, the same weights with attention written out, and images."""

    def __init__(self, name: str, batch: int = 1, seed: int = 0, **options: object) -> None:
        torch.manual_seed(seed)
        self.name = name
        self.model = timm.create_model(name, **options).eval()
        with torch.no_grad():  # random weights attend almost evenly: sharper heads tell more
            for block in self.model.blocks:
                block.attn.qkv.weight.mul_(3)
        self.explicit = explicit_copy(self.model, name, **options)
        size = self.model.patch_embed.img_size
        self.images = torch.randn(batch, 3, *size)

    def ours(self, *methods: str) -> list[Tensor]:
        """Maps [batch, row, col] of some methods, from one trace."""
        found = vaw.trace(self.model, self.images, CLASS)
        return [vaw.explainers.METHODS[m](found).final for m in methods]


def published(scene: Scene, rounds: int) -> list[Row]:
    """Each rule by itself, all four together, another class, all maps of a batch."""
    rows = []
    for method in (*FOUR, "relevance"):
        theirs = RULES[method](scene.explicit, scene.images, CLASS)
        checked(method, scene.ours(method)[0], theirs)
        rows.append(
            beside(
                f"{scene.name}: {method}, against the published rule",
                lambda method=method: scene.ours(method),
                lambda method=method: RULES[method](scene.explicit, scene.images, CLASS),
                rounds,
            )
        )
    rows.append(
        beside(
            f"{scene.name}: rollout, GMAR, DAAM and LeGrad of one image, against the four rules",
            lambda: scene.ours(*FOUR),
            lambda: [RULES[m](scene.explicit, scene.images, CLASS) for m in FOUR],
            rounds,
        )
    )
    known = vaw.trace(scene.model, scene.images, CLASS)
    vaw.explainers.daam(known)
    rows.append(
        beside(
            f"{scene.name}: DAAM of another class of the same image",
            lambda: vaw.explainers.daam(known.retarget(CLASS + 1)),
            lambda: RULES["daam"](scene.explicit, scene.images, CLASS + 1),
            rounds,
        )
    )
    return rows


def libraries(scene: Scene, rounds: int) -> list[Row]:
    """One layer's map from a library, against all layers of ours."""
    from captum.attr import LayerGradientXActivation
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    rows, cols = scene.model.patch_embed.grid_size
    last = scene.model.blocks[-1]

    def folded(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].unflatten(1, (rows, cols)).permute(0, 3, 1, 2)

    camera = GradCAM(scene.model, [last.norm1], reshape_transform=folded)
    targets = [ClassifierOutputTarget(CLASS)] * len(scene.images)
    captum = LayerGradientXActivation(scene.explicit, scene.explicit.blocks[-1].attn.attn_drop)

    def by_captum() -> Tensor:
        product = captum.attribute(scene.images, CLASS)
        return product.clamp_min(0).mean(1)[:, 0, 1:]

    theirs = torch.from_numpy(camera(scene.images, targets))  # enlarged to the picture
    size = scene.images.shape[-2:]
    ours = nn.functional.interpolate(scene.ours("gradcam")[0][:, None], size, mode="bilinear")
    checked("Grad-CAM", ours[:, 0], theirs, 0.98)  # they enlarge with a rule of their own
    checked("attention x gradient", scene.ours("attention_gradient")[0], by_captum())
    return [
        beside(
            f"{scene.name}: Grad-CAM, one layer of pytorch-grad-cam against all layers of ours",
            lambda: scene.ours("gradcam"),
            lambda: camera(scene.images, targets),
            rounds,
            "",
        ),
        beside(
            f"{scene.name}: attention x gradient, one layer of captum against all layers of ours",
            lambda: scene.ours("attention_gradient"),
            by_captum,
            rounds,
            "",
        ),
    ]


def matrices(scene: Scene, rounds: int) -> list[Row]:
    """Attention itself: all of it, and one clicked patch."""
    extract = AttentionExtract(scene.explicit, method="hook")

    def theirs() -> list[Tensor]:
        with torch.no_grad():
            return list(extract(scene.images).values())

    def ours() -> list[Tensor]:
        found = vaw.trace(scene.model, scene.images, gradients=False)
        return [found.attention(layer) for layer in range(found.num_layers)]

    for a, b in zip(ours(), theirs(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    known = vaw.trace(scene.model, scene.images, gradients=False)
    patch = known.tokens.token(3, 3)
    return [
        beside(
            f"{scene.name}: all attention matrices, against timm's AttentionExtract",
            ours,
            theirs,
            rounds,
            "about 1",
        ),
        beside(
            f"{scene.name}: one patch in every head, the image being known",
            lambda: [known.attention(layer, query=patch) for layer in range(known.num_layers)],
            lambda: [a[:, :, patch] for a in theirs()],
            rounds,
        ),
    ]


def heads(scene: Scene, rounds: int) -> list[Row]:
    """All heads left out, one at a time."""
    every = [(i, h) for i, b in enumerate(scene.model.blocks) for h in range(b.attn.num_heads)]
    return [
        beside(
            f"{scene.name}: all {len(every)} heads left out, against the naive loop",
            lambda: vaw.head_importance(scene.model, scene.images, "probability", CLASS),
            lambda: naive(scene.model, scene.images, every),
            max(3, rounds // 2),
        )
    ]


def bertviz(scene: Scene) -> list[Row]:
    """What a first view takes: bytes, and time to make them."""
    from bertviz import model_view

    with torch.no_grad(), kept(scene.explicit) as attention:
        scene.explicit(scene.images)
    tokens = [str(i) for i in range(attention[0].shape[-1])]
    start = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        page = model_view(attention, tokens, html_action="return")
    theirs, taken = len(page.data.encode()), time.perf_counter() - start
    start = time.perf_counter()
    widget = vaw.Explorer(scene.model, scene.images)
    widget.wait()
    ours, spent = _first_view(widget), time.perf_counter() - start
    widget.close()
    return [
        Row(f"{scene.name}: first view", f"BertViz {theirs / ours:.0f} x our bytes", "> 1"),
        Row(f"{scene.name}: our first view", f"{ours / 1e6:.2f} MB", "<= 1 MB"),
        Row(
            f"{scene.name}: until it is there, all methods and head importance included",
            f"BertViz {taken / spent:.2f} x our time (attention alone)",
        ),
    ]


def _first_view(widget: vaw.Explorer) -> int:
    state = widget.get_state()
    return sum(len(v) for v in state.values() if isinstance(v, bytes | str))


def growth() -> list[Row]:
    """Time and memory of DAAM with ever more tokens, against matrices that are kept."""
    rows = []
    for patches in (196, 576, 1024, 1369, 4096):
        ours = in_fresh_process("benchmarks.memory", "daam", str(patches))
        theirs = in_fresh_process("benchmarks.memory", "retained", str(patches))
        extra = max(ours["extra"], 1.0)
        rows.append(
            Row(
                f"ViT-S/16, {patches + 1:,} tokens: DAAM, against retained matrices",
                f"{theirs['seconds'] / ours['seconds']:.1f} x our time, "
                f"{theirs['extra'] / 1024:.2f} GiB against {extra / 1024:.2f} GiB extra",
                "> 1",
            )
        )
    return rows


def table(name: str, rounds: int, batch: int, **options: object) -> list[Row]:
    """Every scenario of one model."""
    scene = Scene(name, **options)
    rows = published(scene, rounds) + libraries(scene, rounds) + matrices(scene, rounds)
    rows += heads(scene, rounds) + bertviz(scene)
    many = Scene(name, batch, **options)
    rows.append(
        beside(
            f"{name}: the four methods of a batch of {batch}",
            lambda: many.ours(*FOUR),
            lambda: [RULES[m](many.explicit, many.images, CLASS) for m in FOUR],
            max(3, rounds // 2),
        )
    )
    return rows


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = table(options.model, options.rounds, options.batch)
    if not options.no_growth:
        rows += growth()
    write_table(rows, "peers", options, keep=options.write)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
