"""Describe a model of transformers: how it is run, and what its configuration says.

Its parts and its readout are found as those of any model; see :mod:`..automatic`.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UnsupportedModelError
from ..adapted import pair
from ..automatic import describe_automatically
from ..holders import refuse_missing_weights
from ..output_kind import found_output
from ..said_classes import with_classes
from ..vision_transformer import VisionTransformer
from .processor import preparation_of
from .text import has_two_towers, text_tower

__all__ = ["describe"]

_ANY_SIZE = ("dinov2", "dinov2_with_registers", "dinov3_vit")
_SHIFTED = (
    "its attention runs inside shifted windows, on grids that shrink stage by stage (of timm's "
    "Swin vaw.window_attention(model, images) shows it)"
)
_SHRINKS = "its keys are downsampled, and its grid shrinks stage by stage"
_VIDEO = (
    "it takes videos, whose tokens lie on a grid of time, row and column, which cannot be shown yet"
)
_REASONS = {
    "swin": _SHIFTED,
    "swinv2": _SHIFTED,
    "donut-swin": _SHIFTED,
    "hiera": "its tokens are merged from stage to stage, so layers do not share one patch grid",
    "pvt": _SHRINKS,
    "pvt_v2": _SHRINKS,
    "convnext": "it has no attention",
    "convnextv2": "it has no attention",
    "resnet": "it has no attention",
    "segformer": _SHRINKS,
    "timesformer": _VIDEO,
    "xclip": _VIDEO,
    "vjepa2": _VIDEO,
}
_LISTS_OF_PATCHES = {"grid_thw", "image_grid_thw", "spatial_shapes", "tgt_sizes", "image_sizes"}
_WAY_OUT = (
    " Plain Vision Transformers are supported, in any task's model: ViT, DeiT, BEiT, DINO, CLIP, "
    "SigLIP and others; for another, say where its parts are by vaw.adapt(...)."
)


def describe(model: nn.Module) -> VisionTransformer:
    """Describe a model of transformers that holds a Vision Transformer.

    The outermost part that takes images alone is described: the whole of a classifier, the image
    side of a two-tower model, the vision tower of a language model. Inputs of another size than the
    model's get interpolated position embeddings, as with its own ``interpolate_pos_encoding=True``.

    Raises
    ------
    UnsupportedModelError
        If its blocks or patches are not found, or are not one sequence over one grid.
    """
    inner = getattr(model, "timm_model", None)
    if isinstance(inner, nn.Module):
        return _timm_inside(model, inner)
    _refuse_known(model)
    refuse_missing_weights(model)
    config = _vision_config(model)
    kind = str(getattr(config, "model_type", ""))
    size = getattr(config, "image_size", None)
    try:
        described = describe_automatically(
            model,
            run=_run,
            image_size=None if size is None else pair(size),
            preparation=lambda size, channels: preparation_of(model, config, size, channels),
            any_size=lambda module: kind in _ANY_SIZE or _interpolates(module),
            takes_images_alone=_takes_images_alone,
            features=True,
        )
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"{error}{_WAY_OUT}") from None
    described.library = "transformers"
    if has_two_towers(described.model):
        described.num_classes = 0  # features, whatever their module is called
    described.text = text_tower(described.model)
    if not described.num_classes:
        return described
    described.names = _class_names(described.model.config)
    said = found_output(getattr(described.model.config, "problem_type", None))
    return with_classes(described, None, said)


def _run(module: Any, inputs: Tensor, size: tuple[int, int]) -> object:
    """Call a module with images, as its signature wants it."""
    two_towers = has_two_towers(module)
    call = module.get_image_features if two_towers else module
    taken = inspect.signature(call if two_towers else module.forward).parameters
    options: dict[str, object] = {}
    if "return_dict" in taken or "kwargs" in taken:
        options["return_dict"] = True  # whatever the configuration says
    if "interpolate_pos_encoding" in taken and tuple(inputs.shape[-2:]) != size:
        options["interpolate_pos_encoding"] = True
    if "noise" in taken:  # a masked autoencoder draws the order of the patches, unless it is given
        patch = module.config.patch_size
        count = (inputs.shape[-1] // patch) * (inputs.shape[-2] // patch)
        options["noise"] = torch.arange(count, device=inputs.device).expand(len(inputs), -1)
    return call(pixel_values=inputs, **options)


def _takes_images_alone(module: nn.Module) -> bool:
    if has_two_towers(module):
        return True
    taken = inspect.signature(module.forward).parameters
    return "pixel_values" in taken and "input_ids" not in taken


def _interpolates(module: Any) -> bool:
    """Whether a model stretches its position embeddings when it is told to."""
    call = module.get_image_features if has_two_towers(module) else module.forward
    return "interpolate_pos_encoding" in inspect.signature(call).parameters


def _vision_config(model: Any) -> Any:
    config = model.config
    return getattr(config, "vision_config", config)


def _class_names(config: object) -> list[str] | None:
    """What the configuration calls the classes, unless it only numbers them."""
    labels = getattr(config, "id2label", None) or {}
    names = [str(name) for _, name in sorted(labels.items())]
    return None if all(name == f"LABEL_{i}" for i, name in enumerate(names)) else names


def _refuse_known(model: nn.Module) -> None:
    """Say why, where the reason is known by the kind of model."""
    config = _vision_config(model)
    name, kind = type(model).__name__, str(getattr(config, "model_type", ""))
    if kind in _REASONS:
        raise UnsupportedModelError(
            f"{name} of transformers is not supported: {_REASONS[kind]}.{_WAY_OUT}"
        )
    if getattr(config, "mask_ratio", 0) and kind == "vit_mae":
        raise UnsupportedModelError(
            f"{name} drops {config.mask_ratio:.0%} of the patches at random: set "
            "model.config.mask_ratio = 0 to look at all of them."
        )
    for module in model.modules():
        # The language model's own arguments say nothing about its tower.
        if hasattr(module, "config") and "input_ids" not in (
            taken := inspect.signature(module.forward).parameters
        ):
            lists = _LISTS_OF_PATCHES.intersection(taken)
            if lists:
                raise UnsupportedModelError(
                    f"{name} of transformers is not supported: {type(module).__name__} takes a "
                    f"list of patches with their shapes ({', '.join(sorted(lists))}), not a "
                    "picture. Use a model for a fixed size, e.g. SiglipVisionModel."
                )


def _timm_inside(model: Any, inner: nn.Module) -> VisionTransformer:
    """The timm model that a wrapper holds, with the names that the wrapper has for its classes."""
    from ..libraries import describe as describe_any

    described = describe_any(inner)
    described.name += f" (timm_model of {type(model).__name__})"
    described.names = _class_names(model.config) or described.names
    return described
