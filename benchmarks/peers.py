"""Ours beside the tools and rules that come near it, on the same model and image.

``python -m benchmarks.peers`` prints a table; ``--write`` puts it into ``benchmarks/README.md``,
with a picture. What is compared in time is compared in its values first. With
``--device cuda --dtype bfloat16`` it runs on a GPU, whose table stands below the CPU's.
"""

from __future__ import annotations

import argparse
import io
import time
from contextlib import redirect_stdout
from pathlib import Path

import torch
from timm.utils import AttentionExtract
from torch import Tensor, nn

import vit_attention_widget as vaw

from .counted import multiplications
from .growth import growth
from .heads import naive
from .measure import Row, on_device, said, seconds, side_by_side, write_table
from .plots import ratios
from .published import RULES, kept
from .scene import CLASS, FOUR, Run, Scene


def published(scene: Scene) -> list[Row]:
    """Each rule by itself, all four together, another class of the same image."""
    rows = []
    for method in (*FOUR, "relevance"):
        scene.checked(method, scene.ours(method)[0], scene.theirs(method)[0])
        rows.append(
            scene.beside(
                f"{method}, against the published rule",
                lambda method=method: scene.ours(method),
                lambda method=method: scene.theirs(method),
            )
        )
        if method == "rollout":
            rows.append(
                bound(
                    scene, "rollout", lambda: scene.ours("rollout"), lambda: scene.theirs("rollout")
                )
            )
    rows.append(
        scene.beside(
            "rollout, GMAR, DAAM and LeGrad of one image, against the four rules",
            lambda: scene.ours(*FOUR),
            lambda: scene.theirs(*FOUR),
        )
    )
    known = vaw.trace(scene.model, scene.images, CLASS)
    vaw.explainers.daam(known)
    rows.append(
        scene.beside(
            "DAAM of another class of the same image, against the published rule",
            lambda: vaw.explainers.daam(known.retarget(CLASS + 1)),
            lambda: RULES["daam"](scene.explicit, scene.images, CLASS + 1),
        )
    )
    return rows


def bound(scene: Scene, what: str, ours: Run, theirs: Run) -> Row:
    """How many multiplications theirs needs for one of ours, on any machine."""
    ratio = multiplications(theirs) / multiplications(ours)
    return said(Row(f"{scene.name}: {what}, multiplications counted", f"theirs {ratio:.2f} x ours"))


def vit_explain(scene: Scene) -> Row:
    """vit-explain's rule, whose slips ours avoids: the maps are near, not the same."""

    def ours() -> Tensor:
        trace = vaw.trace(scene.model, scene.images, gradients=False)
        return vaw.explainers.rollout(trace, head_fusion="max", discard_ratio=0.9).final

    scene.checked("vit-explain", ours(), scene.theirs("vit-explain")[0], 0.8)
    return scene.beside(
        "rollout of the largest heads without their smallest 90 %, against vit-explain's rule",
        ours,
        lambda: scene.theirs("vit-explain"),
    )


def libraries(scene: Scene) -> list[Row]:
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
    blocks = scene.explicit.blocks
    captum = [LayerGradientXActivation(scene.explicit, b.attn.attn_drop) for b in blocks]

    def by_captum() -> list[Tensor]:
        products = [layer.attribute(scene.images, CLASS) for layer in captum]
        return [product.clamp_min(0).mean(1)[:, 0, 1:] for product in products]

    ours = scene.ours("attention_gradient")[0]
    scene.checked("attention x gradient", ours, by_captum()[-1])
    product = scene.beside(
        "attention x gradient of every layer, against captum, which takes a run a layer",
        lambda: scene.ours("attention_gradient"),
        by_captum,
    )
    what = "Grad-CAM, every layer of ours against one layer of pytorch-grad-cam"
    if not scene.exact:  # it goes through NumPy
        return [product, said(Row(f"{scene.name}: {what}", "theirs takes no half precision"))]
    theirs = torch.from_numpy(camera(scene.images, targets))  # enlarged to the picture
    size = scene.images.shape[-2:]
    ours = nn.functional.interpolate(scene.ours("gradcam")[0][:, None], size, mode="bilinear")
    scene.checked("Grad-CAM", ours[:, 0], theirs, 0.98)  # they enlarge with a rule of their own
    camera_row = scene.beside(
        what, lambda: scene.ours("gradcam"), lambda: camera(scene.images, targets)
    )
    return [camera_row, product]


def matrices(scene: Scene) -> list[Row]:
    """Attention itself: all of it, and one clicked patch."""
    extract = AttentionExtract(scene.explicit, method="hook")

    def theirs() -> list[Tensor]:
        with torch.no_grad():
            return list(extract(scene.images).values())

    def ours() -> list[Tensor]:
        trace = vaw.trace(scene.model, scene.images, gradients=False)
        return [trace.attention(layer) for layer in range(trace.num_layers)]

    for a, b in zip(ours(), theirs(), strict=True):
        limits = {"rtol": 1e-3, "atol": 1e-5} if scene.exact else {"rtol": 0.1, "atol": 2e-2}
        torch.testing.assert_close(a.float(), b.float(), **limits)
    known = vaw.trace(scene.model, scene.images, gradients=False)
    patch = known.tokens.token(3, 3)
    return [
        scene.beside(
            "all attention matrices, against timm's AttentionExtract", ours, theirs, "about 1"
        ),
        bound(scene, "all attention matrices", ours, theirs),
        scene.beside(
            "one patch in every head, the image being known, against timm's AttentionExtract",
            lambda: [known.attention(layer, query=patch) for layer in range(known.num_layers)],
            lambda: [a[:, :, patch] for a in theirs()],
        ),
    ]


def heads(scene: Scene) -> Row:
    """All heads left out, one at a time; what is found is compared for a few of them."""
    every = [(i, h) for i, b in enumerate(scene.model.blocks) for h in range(b.attn.num_heads)]

    def ours() -> vaw.HeadImportance:
        return vaw.head_importance(scene.model, scene.images, CLASS, metric="probability")

    few = [every[0], every[len(every) // 2], every[-1]]
    with torch.no_grad():
        whole = scene.model(scene.images).softmax(-1)
    falls = (whole - naive(scene.model, scene.images, few))[:, 0, CLASS].float()
    known = ours().values[0].to(falls)
    limits = {"rtol": 1e-2, "atol": 1e-6} if scene.exact else {"rtol": 0.5, "atol": 1e-2}
    torch.testing.assert_close(torch.stack([known[at] for at in few]), falls, **limits)
    return scene.beside(
        f"all {len(every)} heads left out, against the naive loop",
        ours,
        lambda: naive(scene.model, scene.images, every),
        slow=True,
    )


def batch(scene: Scene) -> Row:
    """The four methods of many images at once."""
    return scene.beside(
        f"the four methods of a batch of {len(scene.images)}, against the four rules",
        lambda: scene.ours(*FOUR),
        lambda: scene.theirs(*FOUR),
        slow=True,
    )


def limit(scene: Scene) -> list[Row]:
    """How near a pass and the four methods come to the device's own matrix product."""
    like = scene.images
    side = 8192 if like.is_cuda else 3072
    square = torch.randn(side, side, device=like.device, dtype=like.dtype)
    runs: dict[str, Run] = {
        "product": lambda: nn.functional.linear(square, square),
        "forward": lambda: scene.model(scene.images),
        "four": lambda: scene.ours(*FOUR),
    }
    with torch.no_grad():
        runs["product"](), runs["forward"]()
        best = min(seconds(runs["product"]) for _ in range(scene.rounds))
        taken = min(seconds(runs["forward"]) for _ in range(scene.rounds))
    rate, needed = 2 * side**3 / best, products(scene.model, len(scene.images))
    ratios = side_by_side({k: runs[k] for k in ("forward", "four")}, "forward", scene.rounds)
    name = f"{scene.name}, batch of {len(scene.images)}"
    return [
        said(Row("the device's matrix product", f"{rate / 1e12:.2f} TFLOP/s")),
        said(Row(f"{name}: a forward pass", f"{needed / taken / rate:.0%} of that rate")),
        said(Row(f"{name}: the four methods", f"{ratios['four']} x a forward pass with grad", "")),
    ]


def products(model: nn.Module, images: int) -> float:
    """Floating-point operations of the blocks' matrix products."""
    block, tokens = model.blocks[0], 1 + model.patch_embed.num_patches
    dim, hidden = block.mlp.fc1.in_features, block.mlp.fc1.out_features
    each = (4 * dim * dim + 2 * dim * hidden) * tokens + 2 * tokens * tokens * dim
    return 2.0 * each * len(model.blocks) * images


def bertviz(scene: Scene) -> list[Row]:
    """What a first view takes: bytes, and time to make them."""
    from bertviz import model_view

    start = time.perf_counter()
    with torch.no_grad(), kept(scene.explicit) as attention:
        scene.explicit(scene.images)
    tokens = [str(i) for i in range(attention[0].shape[-1])]
    with redirect_stdout(io.StringIO()):
        page = model_view([a.float().cpu() for a in attention], tokens, html_action="return")
    theirs, taken = len(page.data.encode()), time.perf_counter() - start
    start = time.perf_counter()
    widget = vaw.Explorer(scene.model, scene.images)
    while not widget._maps:
        time.sleep(1e-3)
    spent = time.perf_counter() - start
    widget.wait()
    ours = _first_view(widget)
    widget.close()
    rows = [
        Row(f"{scene.name}: first view", f"BertViz {theirs / ours:.0f} x our bytes", "> 1"),
        Row(f"{scene.name}: our first view", f"{ours / 1e6:.2f} MB", "<= 1 MB"),
        Row(
            f"{scene.name}: until it can be seen: BertViz's page of attention, against the "
            "Explorer's attention, decision and first map",
            f"{taken / spent:.1f} x our time",
            "> 1",
        ),
    ]
    return [said(row) for row in rows]


def _first_view(widget: vaw.Explorer) -> int:
    state = widget.get_state()
    return sum(len(v) for v in state.values() if isinstance(v, bytes | str))


def table(name: str, where: argparse.Namespace, **options: object) -> list[Row]:
    """Every scenario of one model."""
    scene = Scene(name, 1, where, **options)
    rows = [*published(scene), vit_explain(scene), *libraries(scene), *matrices(scene)]
    rows += [heads(scene), *bertviz(scene)]
    many = Scene(name, where.batch, where, **options)
    return [*rows, batch(many), *limit(many)]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_base_patch16_224")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--no-growth", action="store_true")
    on_device(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    mark = "peers" if options.device == "cpu" else f"peers-{options.device}"
    rows = table(options.model, options)
    write_table(rows, mark, options, keep=options.write)
    if options.write:
        ratios(rows, Path(__file__).with_name("plots") / f"{mark}.png")
    if not options.no_growth:
        growth(options)


if __name__ == "__main__":
    main()
