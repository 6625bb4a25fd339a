"""A memory bank in a file: safetensors, and JSON in its header."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import torch
from torch import Tensor

from ..models.fingerprint import ModelFingerprint
from ..results.files import reading
from ..results.storage import read_tensors, write_tensors
from ..results.unfinished import Extent, extent_from, skipped_from

if TYPE_CHECKING:
    from .memory_bank import MemoryBank

__all__ = ["load", "save"]

_KIND = "memory bank"


class BankParts(TypedDict):
    """What a bank is made of, by the names of its arguments."""

    features: Tensor
    labels: Tensor
    class_names: list[str]
    fingerprint: ModelFingerprint
    k: int
    temperature: float


def save(bank: MemoryBank, path: str | Path) -> None:
    """Write a bank."""
    of_model, model = bank.fingerprint.to_parts()
    about = {
        "model": model,
        "class_names": bank.class_names,
        "k": bank.k,
        "temperature": bank.temperature,
        "by_name": bank._by_name,
        **bank._about_extent(),
    }
    tensors = {"features": bank.features, "labels": bank.labels, **of_model}
    write_tensors(path, _KIND, tensors, about)


def load(path: str | Path) -> tuple[BankParts, tuple[Extent, dict[int, str]], bool]:
    """What a bank is made of, how far it is, and whether labels were names, read from a file."""
    tensors, about = read_tensors(path, _KIND, hint="write it with bank.save(path)")
    with reading(path):
        parts: BankParts = {
            "features": tensors["features"],
            "labels": tensors["labels"],
            "class_names": about["class_names"],
            "fingerprint": ModelFingerprint.from_parts(tensors, about["model"]),
            "k": about["k"],
            "temperature": about["temperature"],
        }
        extent = extent_from(about), skipped_from(about)
        by_name = bool(about.get("by_name", False))
        features, labels, count = parts["features"], parts["labels"], len(parts["class_names"])
        outside = labels.numel() == 0 or int(labels.min()) < 0 or int(labels.max()) >= count
        if not features.is_floating_point() or labels.dtype != torch.int64:
            raise ValueError(f"features are {features.dtype}, labels {labels.dtype}")
        if not all(isinstance(name, str) for name in parts["class_names"]):
            raise ValueError("names of classes are no text")
        if features.ndim != 2 or labels.shape != features.shape[:1] or outside:
            raise ValueError(
                f"{tuple(labels.shape)} labels of {count} classes do not fit features "
                f"{tuple(features.shape)}. Fit the bank again"
            )
        if not features.isfinite().all():
            raise ValueError("its features hold NaN or infinite values. Fit the bank again")
    parts["fingerprint"].warn_if_old(path)
    return parts, extent, by_name
