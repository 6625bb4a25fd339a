"""The image processor that a model of transformers was trained with, as far as it can be had here.

Nothing is ever downloaded: the processor beside the weights is taken where they lie in a folder or
in the cache, or else the defaults of the family's processor.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from ..normalizations import HALVES, IMAGENET
from ..preparation import (
    ImageProcessor,
    Normalization,
    Preparation,
    by_processor,
    resized_and_cropped,
)

__all__ = ["preparation_of"]

_FILE = "preprocessor_config.json"
_BY_IMAGENET = {
    "deit": "DeiT's",
    "vit_mae": "MAE's",
    "vit_msn": "MSN's",
    "dinov2": "DINOv2's",
    "dinov2_with_registers": "DINOv2's",
}
"""Families whose published weights have ImageNet's mean, unlike their processor's defaults."""

_CROPPED: dict[str, object] = {
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
}
"""What DINOv2's published weights are given, whose configuration says 518."""


def preparation_of(
    model: Any, config: Any, size: tuple[int, int], channels: int = 3
) -> Preparation:
    """How pictures are prepared for a model, and on what ground.

    Parameters
    ----------
    model : PreTrainedModel
    config : PretrainedConfig
        Of the part that takes images.
    size : (int, int)
        Of the model's input.
    channels : int
    """
    kind = str(getattr(config, "model_type", "")).removesuffix("_vision_model")
    if channels != 3:
        ground = f"the model takes {channels} channels: mean and deviation are assumed"
        return resized_and_cropped(size, HALVES, ground, channels=channels, assumed=True)
    path = str(getattr(model.config, "_name_or_path", "") or getattr(config, "_name_or_path", ""))
    beside = _beside_weights(path) if path else None
    if beside is not None:
        options = {} if kind.startswith("dinov") else _options(beside, size)
        return by_processor(beside, f"the processor of {path!r}, found here", None, options)
    processor = _of_family(kind) or _of_family(str(getattr(model.config, "model_type", "")))
    if processor is None:
        ground = f"no image processor is known for {kind!r}: mean and deviation of 0.5 are assumed"
        return resized_and_cropped(size, HALVES, ground, assumed=True)
    options = _options(processor, size)
    if kind.startswith("dinov2") and size == (518, 518):
        options = _CROPPED
    ground = f"its defaults, as no {_FILE} of {path!r} is found here" if path else "its defaults"
    weights = _BY_IMAGENET.get(kind) or ("DINO's" if kind == "vit" and _is_dino(path) else None)
    normalization: Normalization | None = None
    if weights is not None:
        normalization = IMAGENET
        ground = f"{ground}, with the mean and deviation of {weights} weights"
        options = {**options, "image_mean": IMAGENET[0], "image_std": IMAGENET[1]}
    return by_processor(processor, ground, normalization, options)


def _is_dino(path: str) -> bool:
    return "dino-" in os.path.basename(path.rstrip("/")).lower()


@cache
def _beside_weights(path: str) -> ImageProcessor | None:
    """The processor in the folder or cache where the weights came from; None without one."""
    from transformers import AutoImageProcessor
    from transformers.utils.hub import cached_file

    if not os.path.isdir(path):
        try:
            file = cached_file(
                path,
                _FILE,
                local_files_only=True,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
                _raise_exceptions_for_gated_repo=False,
            )
        except Exception:  # no name of a repository, or a cache that cannot be read
            return None
        if file is None:
            return None
    elif not os.path.isfile(os.path.join(path, _FILE)):
        return None
    try:
        processor: ImageProcessor = AutoImageProcessor.from_pretrained(path, local_files_only=True)
    except Exception:  # a file of another kind, or a processor that wants another package
        return None
    return processor if hasattr(processor, "image_mean") else None


@cache
def _of_family(kind: str) -> ImageProcessor | None:
    """A processor with its family's defaults; None where there is none for pictures alone."""
    import transformers
    from transformers.models.auto import image_processing_auto

    auto: Any = image_processing_auto
    processors = dict(auto.IMAGE_PROCESSOR_MAPPING_NAMES)
    names: Any = processors.get(kind) or processors.get(kind.replace("_", "-"))
    if not names:
        return None
    if isinstance(names, dict):  # by backend, in transformers 5
        names = [names.get("torchvision"), names.get("pil")]
    for name in names if isinstance(names, list | tuple) else [names]:
        try:
            processor: ImageProcessor = getattr(transformers, name)()
        except Exception:  # None, or a backend that is not installed
            continue
        if hasattr(processor, "image_mean") and hasattr(processor, "size"):
            return processor
    return None


def _options(processor: ImageProcessor, size: tuple[int, int]) -> dict[str, object]:
    """What makes a processor give inputs of the model's size, and nothing if it does so anyway."""
    height, width = size
    whole, cropped = processor.size, getattr(processor, "crop_size", None)
    crops = bool(getattr(processor, "do_center_crop", False)) and cropped is not None
    result = cropped if crops else whole
    if (_get(result, "height"), _get(result, "width")) == size:
        return {}
    target = {"height": height, "width": width}
    if not crops:
        return {"size": target}
    edge, side = _get(whole, "shortest_edge"), _get(cropped, "height") or height
    if edge is not None:
        return {
            "size": {"shortest_edge": round(edge * max(size) / side)},
            "crop_size": target,
        }
    scale = (_get(whole, "height") or side) / side
    return {
        "size": {"height": round(height * scale), "width": round(width * scale)},
        "crop_size": target,
    }


def _get(size: object, name: str) -> Any:
    return size.get(name) if isinstance(size, dict) else getattr(size, name, None)
