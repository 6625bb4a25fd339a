"""Vision Transformers of Hugging Face's transformers, 4.x and 5.x.

Their modules differ in names only: the core is found by what it holds (embeddings, a list of
blocks, a final norm), and what is read out by what follows it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .adapted import AdaptedVisionTransformer, pair
from .classifier import classifier_width
from .normalizations import CLIP, HALVES, IMAGENET
from .output_kind import found_output
from .text_prompts import TextTower

__all__ = ["describe"]

_CORES = ("vit", "deit", "beit", "dinov2", "dinov2_with_registers", "dinov3_vit", "vision_model")
_LISTS = ("layers", "encoder.layer", "encoder.layers", "model.layer", "layer")
_NORMS = ("layernorm", "norm", "post_layernorm")
_NORMALIZATION = {"dinov2": IMAGENET, "dinov2_with_registers": IMAGENET, "dinov3_vit": IMAGENET}
_ANY_SIZE = ("dinov2", "dinov2_with_registers", "dinov3_vit")
_SHIFTED = (
    "its attention runs inside shifted windows, on grids that shrink stage by stage (of timm's "
    "Swin vaw.window_attention(model, images) shows it)"
)
_SHRINKS = "its keys are downsampled, and its grid shrinks stage by stage"
_REASONS = {
    "swin": _SHIFTED,
    "swinv2": _SHIFTED,
    "hiera": "its tokens are merged from stage to stage, so layers do not share one patch grid",
    "pvt": _SHRINKS,
    "pvt_v2": _SHRINKS,
    "convnext": "it has no attention",
    "segformer": _SHRINKS,
}


def describe(model: nn.Module) -> AdaptedVisionTransformer:
    """Describe a model of transformers: ViT, DeiT, BEiT, DINOv2, DINOv3, CLIP and SigLIP vision.

    Inputs of another size than the model's get interpolated position embeddings, as with its own
    ``interpolate_pos_encoding=True``.

    Raises
    ------
    UnsupportedModelError
        If its blocks, patches or readout are not found.
    """
    core = _core(model)
    blocks = _blocks(core)
    config = _config(core)
    kind = str(config.model_type)
    if not hasattr(config, "image_size"):
        raise UnsupportedModelError(
            f"{type(model).__name__} of transformers is not supported: its input is a list of "
            "patches with their shapes, not a picture. Use a model for a fixed size, e.g. "
            "SiglipVisionModel."
        )
    if kind == "vit_mae" and config.mask_ratio:
        raise UnsupportedModelError(
            f"{type(model).__name__} drops {config.mask_ratio:.0%} of the patches at random: set "
            "model.config.mask_ratio = 0 to look at all of them."
        )
    prefix = _prefix(core, config)
    readout, pool = _readout(model, core, prefix)
    head = getattr(model, "classifier", None) or getattr(model, "cls_classifier", None)
    width, told = classifier_width(head), cast(Any, model).config
    family = kind.removesuffix("_vision_model")
    described = AdaptedVisionTransformer(
        model,
        blocks,
        readout,
        forward=_forward(model, core, kind, config.image_size),
        patch_size=config.patch_size,
        prefix=prefix,
        pool=pool,
        num_classes=told.num_labels if width is None else width,
        image_size=config.image_size,
        normalization=CLIP if family == "clip" else _NORMALIZATION.get(kind, HALVES),
        class_names=_names(told) if width != 0 else None,
        rows=(0, 1) if hasattr(model, "distillation_classifier") else None,
        any_size=kind in _ANY_SIZE or _interpolates(core),
    )

    if described.num_classes:
        described.said_output = found_output(getattr(told, "problem_type", None))
    described.text = _text(model)
    return described


def _names(config: Any) -> list[str] | None:
    """What the configuration calls the classes, unless it only numbers them."""
    names = [str(name) for _, name in sorted(config.id2label.items())]
    return None if all(name == f"LABEL_{i}" for i, name in enumerate(names)) else names


def _text(model: Any) -> TextTower | None:
    if not hasattr(model, "get_text_features"):
        return None

    def encode(ids: Tensor) -> Tensor:
        output = model.get_text_features(input_ids=ids)
        features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
        return features

    # SigLIP reads the last token, which is padding in all but the longest texts it knows.
    reads_padding = str(model.config.model_type).startswith("siglip")
    length = model.config.text_config.max_position_embeddings if reads_padding else None
    scale = float(model.logit_scale.detach().float().exp())
    return TextTower(model, encode, None, scale, length)


def _core(model: Any) -> Any:
    """The module that holds the embeddings and the blocks."""
    if hasattr(model, "embeddings"):
        return model
    for name in _CORES:
        inner = getattr(model, name, None)
        if isinstance(inner, nn.Module):
            return _core(inner)
    kind = getattr(getattr(model, "config", None), "model_type", "")
    reason = _REASONS.get(kind, "no `embeddings` with blocks after them were found")
    raise UnsupportedModelError(
        f"{type(model).__name__} of transformers is not supported: {reason}. Plain Vision "
        "Transformers are: ViT, DeiT, BEiT, DINOv2, DINOv3, CLIP's and SigLIP's vision models; for "
        "others say where the parts are by vaw.adapt(...)."
    )


def _blocks(core: nn.Module) -> list[nn.Module]:
    for path in _LISTS:
        try:
            layers = core.get_submodule(path)
        except AttributeError:
            continue
        if isinstance(layers, nn.ModuleList) and len(layers):
            return list(layers)
    reason = _REASONS.get(getattr(_config(core), "model_type", ""), "no list of blocks was found")
    raise UnsupportedModelError(
        f"{type(core).__name__} of transformers is not supported: {reason} (looked for "
        f"{', '.join(_LISTS)})."
    )


def _config(core: Any) -> Any:
    config = core.config
    return getattr(config, "vision_config", config)


def _prefix(core: Any, config: Any) -> tuple[str, ...]:
    names = []
    embeddings = core.embeddings
    if any(getattr(embeddings, n, None) is not None for n in ("cls_token", "class_embedding")):
        names.append("class")
    if getattr(embeddings, "distillation_token", None) is not None:
        names.append("distilled")
    registers = getattr(config, "num_register_tokens", 0) or 0
    return tuple(names + [f"register {i}" for i in range(registers)])


def _interpolates(module: nn.Module) -> bool:
    """Whether a model stretches its position embeddings when it is told to."""
    return "interpolate_pos_encoding" in inspect.signature(module.forward).parameters


def _forward(model: Any, core: Any, kind: str, image_size: Any) -> Callable[[Tensor], Tensor]:
    size, told = pair(image_size), _interpolates(core)

    def stretched(inputs: Tensor) -> dict[str, Any]:
        other = told and tuple(inputs.shape[-2:]) != size
        return {"interpolate_pos_encoding": True} if other else {}

    if hasattr(model, "text_model"):  # two towers: the image's features, beside those of texts
        projection = getattr(model, "visual_projection", nn.Identity())

        def features(inputs: Tensor) -> Tensor:
            pooled = core(pixel_values=inputs, **stretched(inputs)).pooler_output
            projected: Tensor = projection(pooled)
            return projected

        return features

    def forward(inputs: Tensor) -> Tensor:
        options = stretched(inputs)
        if kind == "vit_mae":  # the order of the patches is drawn at random unless it is given
            config: Any = model.config
            patches = (inputs.shape[-1] // config.patch_size) * (
                inputs.shape[-2] // config.patch_size
            )
            options["noise"] = torch.arange(patches, device=inputs.device).expand(len(inputs), -1)
        output = model(pixel_values=inputs, **options)
        for name in ("logits", "image_embeds", "pooler_output"):
            value = getattr(output, name, None)
            if isinstance(value, Tensor):
                return value
        tokens: Tensor = output.last_hidden_state
        return tokens[:, 0]

    return forward


def _readout(
    model: Any, core: Any, prefix: Sequence[str]
) -> tuple[Callable[[Tensor], Tensor], str]:
    """What follows the blocks, from the core's norm to the classifier, and what it reads."""
    norm = next((m for n in _NORMS if (m := getattr(core, n, None)) is not None), nn.Identity())
    pooler: Any = getattr(core, "pooler", None)
    head: Any = getattr(core, "head", None)
    classifier, count = getattr(model, "classifier", None), len(prefix)
    teacher = getattr(model, "distillation_classifier", None)
    kind = _config(core).model_type

    if kind.startswith("siglip"):
        return (lambda tokens: head(norm(tokens))), "attention_pool"
    if kind.startswith("clip"):
        projection = getattr(model, "visual_projection", nn.Identity())
        return (lambda tokens: projection(norm(tokens[:, 0]))), "class"
    if kind.startswith("beit"):
        pool = pooler or (lambda tokens: tokens[:, 0])
        mean = getattr(pooler, "layernorm", None) is not None
        last = classifier or nn.Identity()
        return (lambda tokens: last(pool(norm(tokens)))), "mean" if mean else "class"
    if teacher is not None:

        def both(tokens: Tensor) -> Tensor:
            tokens = norm(tokens)
            heads = model.cls_classifier(tokens[:, 0]), teacher(tokens[:, 1])
            return (heads[0] + heads[1]) / 2

        return both, "class"
    if kind.startswith("dinov2") and classifier is not None and classifier_width(classifier) != 0:

        def joined(tokens: Tensor) -> Tensor:
            tokens = norm(tokens)
            logits: Tensor = classifier(torch.cat([tokens[:, 0], tokens[:, count:].mean(1)], 1))
            return logits

        return joined, "mean"
    if classifier is not None and classifier_width(classifier) != 0:
        return (lambda tokens: classifier(norm(tokens)[:, 0])), "class"
    last = pooler if isinstance(pooler, nn.Module) else (lambda tokens: tokens[:, 0])
    return (lambda tokens: last(norm(tokens))), "class"
