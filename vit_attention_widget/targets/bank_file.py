"""A memory bank in a file: safetensors, and JSON in its header."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..models.fingerprint import ModelFingerprint
from ..results.storage import read_tensors, write_tensors

if TYPE_CHECKING:
    from .memory_bank import MemoryBank

__all__ = ["load", "save"]

_KIND = "memory bank"


def save(bank: MemoryBank, path: str | Path) -> None:
    """Write a bank."""
    about = {
        "model": {"name": bank.fingerprint.name, "num_heads": bank.fingerprint.num_heads},
        "class_names": bank.class_names,
        "k": bank.k,
        "temperature": bank.temperature,
    }
    tensors = {
        "features": bank.features,
        "labels": bank.labels,
        "model": bank.fingerprint.samples,
    }
    write_tensors(path, _KIND, tensors, about)


def load(path: str | Path) -> dict[str, Any]:
    """What a bank is made of, read from a file."""
    tensors, about = read_tensors(path, _KIND, hint="write it with bank.save(path)")
    try:
        model = about["model"]
        parts = {
            "features": tensors["features"],
            "labels": tensors["labels"],
            "class_names": about["class_names"],
            "fingerprint": ModelFingerprint(
                model["name"], tuple(model["num_heads"]), tensors["model"]
            ),
            "k": about["k"],
            "temperature": about["temperature"],
        }
        features, labels, count = parts["features"], parts["labels"], len(parts["class_names"])
        outside = labels.numel() == 0 or int(labels.min()) < 0 or int(labels.max()) >= count
        if features.ndim != 2 or labels.shape != features.shape[:1] or outside:
            raise ValueError(
                f"{tuple(labels.shape)} labels of {count} classes do not fit features "
                f"{tuple(features.shape)}. Fit the bank again"
            )
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ParameterError(f"{path} is damaged: {error}.") from error
    return parts
