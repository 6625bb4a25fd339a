"""Tiny models of transformers, open_clip, torchvision and others' code, and what works with them.

Each is built with random weights, and held against what it does by itself: its output, the
attention that it returns (``attn_implementation="eager"``) or that is computed by hand.
``docs/models.py`` writes the table; a test runs it.
"""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import VitAttentionError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32,
        "intermediate_size": 64, "patch_size": 8, "num_labels": 7}  # fmt: skip
TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
        "intermediate_size": 64, "vocab_size": 99, "num_key_value_heads": 4}  # fmt: skip
MAPPINGS = (
    "IMAGE_CLASSIFICATION", "ZERO_SHOT_IMAGE_CLASSIFICATION", "BACKBONE", "MASKED_IMAGE_MODELING",
    "IMAGE", "VIDEO_CLASSIFICATION",
)  # fmt: skip
MORE = (
    "CLIPVisionModelWithProjection", "MetaClip2VisionModelWithProjection", "CLIPVisionModel",
    "SiglipVisionModel", "ChineseCLIPVisionModel", "AltCLIPVisionModel", "BlipVisionModel",
    "Blip2VisionModel", "InstructBlipVisionModel", "GitVisionModel", "OwlViTModel", "Owlv2Model",
    "OwlViTVisionModel", "Owlv2VisionModel", "Aimv2Model", "CLIPSegVisionModel", "FlavaImageModel",
    "InternVLVisionModel", "JanusVisionModel", "MLCDVisionModel", "GroupViTVisionModel",
    "SamVisionModel", "ViltModel", "LlavaForConditionalGeneration",
    "LlavaOnevisionForConditionalGeneration", "VideoLlavaForConditionalGeneration",
    "PaliGemmaForConditionalGeneration", "Kosmos2Model",
)  # fmt: skip
TOO_LARGE = 2e7
"""Parameters of a model that a small configuration does not make small."""


@dataclass
class Case:
    """A model to try."""

    library: str
    name: str
    create: Callable[[], nn.Module]
    size: tuple[int, int] = (32, 32)


@dataclass
class Outcome:
    """What became of it."""

    case: Case
    tokens: str = ""
    readout: str = ""
    oracle: str = ""
    works: bool = False
    refused: str = ""
    wrong: str = ""

    @property
    def row(self) -> str:
        """In the table."""
        result = "works" if self.works else self.refused or f"**{self.wrong}**"
        cells = (f"`{self.case.name}`", self.tokens, self.readout, self.oracle, result)
        return f"| {' | '.join(cells)} |"


def cases(only: Collection[str] | None = None) -> Iterator[Case]:
    """All models, library by library, or only those with some names."""
    yield from _transformers(only)
    for library in (_open_clip, _torchvision, _others):
        yield from (case for case in library() if only is None or case.name in only)


def _transformers(only: Collection[str] | None) -> Iterator[Case]:
    import transformers
    from transformers.models.auto import modeling_auto as auto

    names = set(MORE)
    for mapping in MAPPINGS:
        for entry in getattr(auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES").values():
            names.update([entry] if isinstance(entry, str) else entry)
    for name in sorted(names if only is None else names.intersection(only)):
        try:
            kind = getattr(transformers, name)
            create = _tiny(kind)
        except Exception:  # not in this version, wants another package, or cannot be small
            continue
        if create is not None:
            yield Case("transformers", name, create)


def _tiny(kind: Any) -> Callable[[], nn.Module] | None:
    """How to build a small model of a class; None where its configuration does not allow it."""
    config = kind.config_class
    parts = getattr(config, "sub_configs", {})
    if "vision_config" in parts:
        options: dict[str, Any] = {"vision_config": SIZE}
        if "text_config" in parts:
            options["text_config"] = TEXT
        if "ImageClassification" in kind.__name__:
            options["num_labels"] = SIZE["num_labels"]
    else:
        options = dict(SIZE)
        if "mask_ratio" in inspect.signature(config).parameters:
            options["mask_ratio"] = 0.0
        if "encoder_stride" in inspect.signature(config).parameters:
            options["encoder_stride"] = SIZE["patch_size"]
    made = config(**options)
    with torch.device("meta"):
        if sum(p.numel() for p in kind(made).parameters()) > TOO_LARGE:
            return None

    def create() -> nn.Module:
        return kind(config(**options))

    return create


def _open_clip() -> Iterator[Case]:
    import open_clip
    from open_clip.coca_model import CoCa
    from open_clip.model import CustomTextCLIP

    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 3, "head_width": 8}
    pooled = {**vision, "attentional_pool": True, "attn_pooler_heads": 2}
    kinds = {
        "CLIP": vision,
        "CLIP, pool_type avg": {**vision, "pool_type": "avg"},
        "CLIP, final_ln_after_pool": {**vision, "final_ln_after_pool": True},
        "CLIP, attentional_pool": pooled,
    }
    for name, tower in kinds.items():
        yield Case("open_clip", name, lambda tower=tower: open_clip.CLIP(8, tower, text))
    yield Case(
        "open_clip",
        "CoCa",
        lambda: CoCa(
            8,
            {**text, "mlp_ratio": 2},
            {**text, "embed_cls": True, "output_tokens": True},
            {**pooled, "output_tokens": True},
        ),
    )
    towers = {
        "EVA": ("eva02_tiny_patch14_224", "token", None),
        "BiomedCLIP's projection": ("vit_tiny_patch16_224", "token", "linear"),
        "a projection of two layers": ("vit_tiny_patch16_224", "avg", "mlp"),
        "MobileCLIP's ViT": ("vit_base_mci_224", "token", None),
        "PE": ("vit_pe_core_tiny_patch16_384", "map", None),
    }
    for name, (timm_name, pool, projection) in towers.items():
        options = {"timm_model_name": timm_name, "timm_pool": pool, "timm_proj": projection}
        side = 384 if "384" in timm_name else 224
        options["image_size"] = side
        yield Case(
            "open_clip",
            f"CustomTextCLIP, {name}",
            lambda options=options: _of_few_blocks(CustomTextCLIP(16, options, text)),
            (side, side),
        )


def _of_few_blocks(model: Any) -> Any:
    """A model whose tower is timm's, which is as deep as its name says, with three blocks of it."""
    trunk = model.visual.trunk
    trunk.blocks = trunk.blocks[: SIZE["num_hidden_layers"]]
    return model


def _torchvision() -> Iterator[Case]:
    import torchvision

    vit = torchvision.models.VisionTransformer
    yield Case("torchvision", "VisionTransformer", lambda: vit(32, 8, 3, 4, 32, 64, num_classes=7))
    yield Case("torchvision", "swin_t", torchvision.models.swin_t)
    yield Case("torchvision", "resnet18", torchvision.models.resnet18)


def _others() -> Iterator[Case]:
    from others_code import READ

    for name, (create, _) in READ.items():
        yield Case("others", name, create)


def check(case: Case) -> Outcome:
    """Hold what the package says of a model against what the model does."""
    outcome = Outcome(case)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = case.create().eval()
            _randomize(model)
            _check(model, outcome)
        outcome.works = True
    except VitAttentionError as error:
        outcome.refused = re.sub(r"\s+", " ", str(error)).split(" Plain Vision Transformers are")[0]
    except AssertionError as error:
        outcome.wrong = f"differs: {error}".splitlines()[0]
    except Exception as error:
        outcome.wrong = f"raises {type(error).__name__}: {error}".splitlines()[0][:160]
    return outcome


def _randomize(model: nn.Module) -> None:
    """No weight is 0 or alike: what begins so (heads, biases, tokens) would show nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point() and parameter.ndim and not name.endswith("scale"):
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.05 * noise.to(parameter))


def _check(model: nn.Module, outcome: Outcome) -> None:
    vit = vaw.describe(model)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, vit.channels, *outcome.case.size, generator=generator)
    trace = vaw.trace(vit, inputs, None if vit.has_classes else _first)
    tokens = trace.tokens
    outcome.tokens = " + ".join([*_short(tokens.prefix), "patches"])
    outcome.readout = vit.readout_kind.replace("_", " ")
    if vit.model is not model:
        outcome.readout += f", by {type(vit.model).__name__}"
    with torch.no_grad():
        plain = _own_output(model if vit.library == "open_clip" else vit.model, inputs)
        if plain is not None:
            torch.testing.assert_close(trace.logits, plain, rtol=1e-4, atol=1e-5, msg="logits")
        read = vit.readout(trace.layers[-1].output)
    torch.testing.assert_close(read, trace.logits, rtol=1e-3, atol=1e-4, msg="readout")
    outcome.oracle = _check_attention(vit.model, trace, inputs)
    for name, method in vaw.explainers.METHODS.items():
        values = method(trace).values
        assert values.isfinite().all(), name
        assert values.shape[2:] == (tokens.rows, tokens.cols), name


def _first(features: Tensor) -> Tensor:
    return features[:, 0]


def _short(prefix: tuple[str, ...]) -> list[str]:
    registers = sum(name.startswith("register") for name in prefix)
    named = [name for name in prefix if not name.startswith("register")]
    return named + ([f"{registers} registers"] if registers else [])


def _own_output(model: Any, inputs: Tensor) -> Tensor | None:
    """What a model returns for images by itself; None where that is no vector."""
    if hasattr(model, "encode_image"):
        return model.encode_image(inputs) if not hasattr(model, "text_decoder") else (
            model.encode_image(inputs, normalize=False)
        )  # fmt: skip
    if hasattr(model, "get_image_features"):
        output = model.get_image_features(pixel_values=inputs)
        return output if isinstance(output, Tensor) else output.pooler_output
    named = "pixel_values" in inspect.signature(model.forward).parameters
    output = model(pixel_values=inputs) if named else model(inputs)
    if isinstance(output, Tensor):
        return output if output.ndim == 2 else None
    if isinstance(output, tuple):
        return next((o for o in output if isinstance(o, Tensor) and o.ndim == 2), None)
    values = (output.get(name) for name in ("logits", "image_embeds", "pooler_output"))
    return next((v for v in values if isinstance(v, Tensor) and v.ndim == 2), None)


def _check_attention(model: Any, trace: vaw.Trace, inputs: Tensor) -> str:
    """By the model's own attention where it returns that, else by its head outputs."""
    theirs = _own_attention(model, inputs)
    for layer, record in enumerate(trace.layers):
        attention = trace.attention(layer)
        if theirs is not None:
            torch.testing.assert_close(
                attention, theirs[layer], rtol=1e-4, atol=1e-5, msg="attention"
            )
        out = attention @ record.v.float()
        torch.testing.assert_close(out, record.out.float(), rtol=1e-3, atol=1e-4, msg="A v")
    return "its `output_attentions`" if theirs is not None else "its head outputs"


def _own_attention(model: Any, inputs: Tensor) -> tuple[Tensor, ...] | None:
    if not hasattr(model, "set_attn_implementation"):
        return None
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        with torch.no_grad():
            core: Any = model.vision_model if hasattr(model, "get_image_features") else model
            options: dict[str, Any] = {"output_attentions": True}
            if "noise" in inspect.signature(core.forward).parameters:  # the patches' order
                patches = (inputs.shape[-1] // core.config.patch_size) ** 2
                options["noise"] = torch.arange(patches).expand(len(inputs), -1)
            output = core(pixel_values=inputs, **options)
    except Exception:  # it has no such option
        return None
    finally:
        model.set_attn_implementation(before)
    maps = getattr(output, "attentions", None)
    complete = maps and all(isinstance(a, Tensor) and a.ndim == 4 for a in maps)
    return tuple(maps) if complete else None


HEADING = "## transformers, open_clip, torchvision and others' code"


def section(outcomes: list[Outcome]) -> str:
    """The part of the document about these models."""
    import open_clip
    import torchvision
    import transformers

    versions = ", ".join(
        f"{module.__name__} {module.__version__.split('+')[0]}"
        for module in (transformers, open_clip, torchvision)
    )
    works = sum(outcome.works for outcome in outcomes)
    lines = [
        HEADING,
        "",
        f"Written by `python docs/models.py --libraries` with {versions}: of "
        f"{len(outcomes)} models {works} work and the others are refused. *Works* means: the "
        "output is the model's; attention is what the model returns (`output_attentions`) or gives "
        "its head outputs; the last tokens read out give the output; every explainer gives a map. "
        "Random weights, small sizes. *By* names the part of the model that is looked at.",
    ]
    titles = {"others": "Others' code (stand-ins with the same modules)"}
    for library in dict.fromkeys(outcome.case.library for outcome in outcomes):
        lines += ["", f"### {titles.get(library, library)}", ""]
        lines += [
            "| model | tokens | readout | attention held against | |",
            "|---|---|---|---|---|",
        ]
        lines += [outcome.row for outcome in outcomes if outcome.case.library == library]
    return "\n".join([*lines, "", OBJECTS, ""])


OBJECTS = """\
### What to give instead

| of | give |
|---|---|
| TorchScript, `torch.export`, `torch.fx` | the model that it was made from |
| `torch.compile`, `DataParallel`, `DistributedDataParallel`, `AveragedModel`, PEFT | itself: the \
module below is taken |
| an EMA or other holder that is no module | its `.module`, `.model` or `.ema_model`, as the \
error says |
| Lightning and other modules that hold a model | itself, if its forward takes images alone; else \
its `.model`, as the error says |
| LLaVA-like models | itself: the vision tower is taken, and `name` says so |
| weights on `meta` or offloaded by accelerate | the model loaded to one device |
| FSDP2 | the model after `model.unshard()` |
| videos and volumes | nothing yet: their tokens lie on a grid of time, row and column |
| another model | `vaw.adapt(model, blocks, readout, ...)` |"""
