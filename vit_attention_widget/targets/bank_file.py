"""A memory bank in a file: safetensors, and JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import ParameterError
from ..models.fingerprint import ModelFingerprint

if TYPE_CHECKING:
    from .memory_bank import MemoryBank

__all__ = ["load", "save"]

_KEY = "vit_attention_widget.memory_bank"


def save(bank: MemoryBank, path: str | Path) -> None:
    """Write a bank."""
    about = {
        "model": {"name": bank.fingerprint.name, "num_heads": bank.fingerprint.num_heads},
        "class_names": bank.class_names,
        "k": bank.k,
        "temperature": bank.temperature,
    }
    tensors = {
        "features": bank.features.contiguous(),
        "labels": bank.labels.contiguous(),
        "model": bank.fingerprint.samples.contiguous(),
    }
    save_file(tensors, path, {_KEY: json.dumps(about)})


def load(path: str | Path) -> dict[str, Any]:
    """What a bank is made of, read from a file."""
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in list(file.keys())} if text else {}
    except (SafetensorError, OSError) as error:
        raise ParameterError(f"{path} cannot be read as safetensors: {error}") from error
    if text is None:
        raise ParameterError(f"{path} holds no memory bank: write it with bank.save(path).")
    about = json.loads(text)
    features, labels = tensors["features"], tensors["labels"]
    names = about["class_names"]
    outside = labels.numel() == 0 or int(labels.min()) < 0 or int(labels.max()) >= len(names)
    if features.ndim != 2 or labels.shape != features.shape[:1] or outside:
        raise ParameterError(
            f"{path} is damaged: {tuple(labels.shape)} labels of {len(names)} classes do not fit "
            f"features {tuple(features.shape)}. Fit the bank again."
        )
    model = about["model"]
    return {
        "features": features,
        "labels": labels,
        "class_names": names,
        "fingerprint": ModelFingerprint(model["name"], tuple(model["num_heads"]), tensors["model"]),
        "k": about["k"],
        "temperature": about["temperature"],
    }
