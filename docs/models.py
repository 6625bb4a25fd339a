"""Run every isotropic Vision Transformer of timm, and models of other libraries.

``python docs/models.py`` writes what works with them to ``docs/models.md``; names, or parts of
them, run only those of timm, and ``--libraries`` writes the other libraries' part alone. Models get
random weights, two blocks and a grid of 4 x 4 patches: the package must read them correctly,
whatever they predict.
"""

from __future__ import annotations

import argparse
import gc
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import library_checks
import library_models
import library_section
import timm
import torch
from timm.models import _registry as registry

import vit_attention_widget as vaw
from vit_attention_widget.errors import VitAttentionError

FAMILIES = (
    "vision_transformer",
    "deit",
    "beit",
    "eva",
    "vision_transformer_relpos",
    "vision_transformer_hybrid",
    "naflexvit",
)
WINDOWED = ("swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "maxvit_tiny_tf_224",
            "hiera_tiny_224", "pvt_v2_b0", "xcit_nano_12_p16_224", "cait_xxs24_224", "mvitv2_tiny",
            "davit_tiny", "levit_128", "coat_tiny", "twins_svt_small",
            "efficientvit_b0")  # fmt: skip
ELSE = """\
What can be shown of these, and what not:

- **Shown**: raw attention of timm's Swin (both versions, and `swinv2_cr`), by
  `vaw.window_attention(model, images)`: for each block the attention in each window as the model
  computed it (relative positions, cosine scale, the shift's mask); what one patch attends to, laid
  out in the image with the shift undone; and how much each patch is attended to. A patch attends
  to nothing outside its window, so such a map is 0 there by construction.
- **Not shown, because it does not exist**: what the class token attends to in every layer, where
  there is no class token (Swin, MaxViT, Hiera, PVT) or it joins late (CaiT, XCiT); rollout and
  methods built on it, where queries and keys are not the same tokens or the grid changes from stage
  to stage (the matrices cannot be multiplied), and where convolutions or attention over channels
  move content between patches outside the attention.
- **Not shown yet**: raw attention of the other families. It exists, on a grid of its own in each
  block (MaxViT in windows and grids, Hiera in mask units, PVT against downsampled keys), but the
  package does not know where its tokens lie, and a map in the wrong place is worse than none.

This is what `vaw.describe`, `vaw.trace` and the widgets say when they refuse them:"""
CLASSES = 7


@dataclass
class Result:
    """What became of one model."""

    name: str
    family: str
    tokens: str = ""
    grid: str = ""
    readout: str = ""
    note: str = ""
    works: bool = False


def names() -> list[tuple[str, str]]:
    """All models of the families, with the file that they come from."""
    where = registry._model_to_module
    return [(name, where[name]) for name in timm.list_models() if where[name] in FAMILIES]


def create(name: str) -> torch.nn.Module:
    """A small model of the kind: its own heads, norms, embeddings and readout, two blocks."""
    options = {"pretrained": False, "num_classes": CLASSES}
    if "sapiens2" in name:  # it lists the key heads of every block
        options["num_kv_heads"] = 4
    plain = timm.create_model(name, depth=1, **options)
    patch = getattr(getattr(plain, "patch_embed", None), "patch_size", None)
    size = getattr(getattr(plain, "patch_embed", None), "img_size", None)
    hybrid = hasattr(getattr(plain, "patch_embed", None), "backbone")
    del plain
    if hybrid or size is None or patch is None:
        return timm.create_model(name, depth=2, **options).eval()
    side = 4 * patch[0]
    return timm.create_model(name, depth=2, img_size=(side, 4 * patch[1]), **options).eval()


def check(name: str, family: str) -> Result:
    """The contract, in short: its own logits, geometry, attention, every explainer, one head."""
    result = Result(name, family)
    try:
        model = create(name)
        vit = vaw.describe(model)
        size = getattr(getattr(model, "patch_embed", None), "img_size", None) or (64, 64)
        inputs = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            plain = model(inputs)
        trace = vaw.trace(model, inputs)
        tokens = trace.tokens
        result.tokens = " + ".join(filter(None, [_counted(tokens.prefix), str(tokens.num_patches)]))
        result.grid = (
            f"{tokens.rows} x {tokens.cols} of {tokens.patch_height} x {tokens.patch_width}"
        )
        result.readout = vit.readout_kind.replace("_", " ")
        assert torch.equal(trace.logits, plain), "logits differ"
        for layer, record in enumerate(trace.layers):
            rows = trace.attention(layer) @ record.v.float()
            assert torch.allclose(rows, record.out.float(), rtol=1e-3, atol=1e-4), (
                "attention differs"
            )
        for method, explain in vaw.explainers.METHODS.items():
            values = explain(trace).values
            assert values.isfinite().all(), f"{method} is not finite"
            assert values.shape[2:] == (tokens.rows, tokens.cols), f"{method} has another grid"
        importance = vaw.head_importance(model, inputs)
        with torch.no_grad(), vaw.masked_heads(model, {0: [0]}):
            fall = importance.baseline - model(inputs).softmax(-1)[:, int(importance.labels[0])]
        assert torch.allclose(fall, importance.values[:, 0, 0], atol=1e-5), (
            "head importance differs"
        )
        result.works = True
    except VitAttentionError as error:
        result.note = str(error).split(":")[0] if len(str(error)) > 160 else str(error)
    except Exception as error:
        result.note = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    gc.collect()
    return result


def _counted(prefix: tuple[str, ...]) -> str:
    registers = sum(name.startswith("register") for name in prefix)
    named = [name for name in prefix if not name.startswith("register")]
    return " + ".join([*named, f"{registers} registers"] if registers else named)


def reasons() -> list[str]:
    """Why hierarchical and windowed models are refused, in the package's own words."""
    lines = []
    for name in WINDOWED:
        try:
            vaw.describe(timm.create_model(name, pretrained=False))
        except VitAttentionError as error:
            lines.append(f"| `{name}` | {error} |")
        else:
            lines.append(f"| `{name}` | is supported |")
    return lines


def page(results: list[Result]) -> str:
    """The document."""
    good = sum(one.works for one in results)
    lines = [
        "# Models",
        "",
        f"Written by `python docs/models.py` with timm {timm.__version__}: {good} of "
        f"{len(results)} of timm's isotropic Vision Transformers ({good / len(results):.1%}) work "
        "with every explainer and with head importance, and their logits are bit-equal to the "
        "model's. Random weights, two blocks, a small input.",
        "",
        "| model | tokens | patches | readout | |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{o.name}` | {o.tokens} | {o.grid} | {o.readout} | {'works' if o.works else o.note} |"
        for o in results
    ]
    lines += ["", "## Hierarchical and windowed models", "", ELSE, ""]
    lines += ["| model | what is said of it |", "|---|---|"]
    return "\n".join([*lines, *reasons(), ""])


def write_libraries(path: Path) -> None:
    """Run the models of other libraries, and write their part of the document anew."""
    outcomes = []
    for case in library_models.cases():
        outcomes.append(library_checks.check(case))
        print(outcomes[-1].row[:160], flush=True)
    text = path.read_text() if path.exists() else ""
    about_timm = text.split(library_section.HEADING)[0].rstrip()
    path.write_text(f"{about_timm}\n\n{library_section.section(outcomes)}")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of names")
    parser.add_argument("--libraries", action="store_true", help="only libraries besides timm")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    document = Path(__file__).with_name("models.md")
    if options.libraries:
        write_libraries(document)
        return
    chosen = [
        pair for pair in names() if not options.only or any(p in pair[0] for p in options.only)
    ]
    results = []
    for i, (name, family) in enumerate(chosen):
        results.append(check(name, family))
        one = results[-1]
        print(f"{i + 1}/{len(chosen)} {name}: {'works' if one.works else one.note}", flush=True)
    print(f"{sum(one.works for one in results)} of {len(results)} work", file=sys.stderr)
    if not options.only:
        document.write_text(page(results))
        write_libraries(document)


if __name__ == "__main__":
    main()
