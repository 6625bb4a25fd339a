"""Attention patterns in a file: safetensors, and JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ParameterError
from ..models.fingerprint import ModelFingerprint
from .autoencoder import Autoencoder
from .clusters import Cluster
from .pattern_family import PatternFamily
from .pooled_heads import FAMILIES

if TYPE_CHECKING:
    from .attention_patterns import AttentionPatterns

__all__ = ["load", "save"]

_KEY = "vit_attention_widget.patterns"
_ARRAYS = ("heads", "embedding", "codes", "labels", "scores")


def save(patterns: AttentionPatterns, path: str | Path) -> None:
    """Write fitted patterns."""
    assert patterns.fingerprint is not None
    tensors: dict[str, Tensor] = {"model": patterns.fingerprint.samples}
    about: dict[str, Any] = {
        "model": {"name": patterns.fingerprint.name, "num_heads": patterns.fingerprint.num_heads},
        "latent": patterns.latent,
        "seed": patterns.seed,
        "clusters": patterns.num_clusters,
        "seeds": patterns.seeds,
        "families": {},
    }
    for name, family in patterns:
        for key in _ARRAYS:
            tensors[f"{name}.{key}"] = torch.from_numpy(getattr(family, key)).contiguous()
        for key, value in family.autoencoder.state_dict().items():
            tensors[f"{name}.autoencoder.{key}"] = value.contiguous()
        for i, cluster in enumerate(family.clusters):
            tensors[f"{name}.cluster.{i}"] = torch.from_numpy(cluster.pattern).contiguous()
        about["families"][name] = {
            "error": family.error,
            "pca_error": family.pca_error,
            "stability": family.stability,
            "clusters": [
                {"name": c.name, "scores": c.scores, "size": c.size, "layers": c.layers}
                for c in family.clusters
            ],
        }
    save_file(tensors, path, {_KEY: json.dumps(about)})


def load(patterns: AttentionPatterns, path: str | Path) -> None:
    """Read patterns into an object that has none."""
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in list(file.keys())} if text else {}
    except SafetensorError as error:
        raise ParameterError(f"{path} cannot be read as safetensors: {error}") from error
    if text is None:
        raise ParameterError(f"{path} holds no attention patterns: write it with save(path).")
    about = json.loads(text)
    model = about["model"]
    patterns.latent, patterns.seed = about["latent"], about["seed"]
    patterns.num_clusters, patterns.seeds = about["clusters"], about["seeds"]
    patterns.families = {
        name: _family(name, kept, tensors) for name, kept in about["families"].items()
    }
    patterns.fingerprint = ModelFingerprint(
        model["name"], tuple(model["num_heads"]), tensors["model"]
    )


def _family(name: str, about: dict[str, Any], tensors: dict[str, Tensor]) -> PatternFamily:
    arrays: dict[str, Any] = {key: tensors[f"{name}.{key}"].numpy() for key in _ARRAYS}
    start = f"{name}.autoencoder."
    state = {key[len(start) :]: t for key, t in tensors.items() if key.startswith(start)}
    latent, size = state["down"].shape
    autoencoder = Autoencoder(size, latent)
    autoencoder.load_state_dict(state)
    clusters = [
        Cluster(
            kept["name"],
            kept["scores"],
            kept["size"],
            {int(layer): count for layer, count in kept["layers"].items()},
            np.asarray(tensors[f"{name}.cluster.{i}"]),
        )
        for i, kept in enumerate(about["clusters"])
    ]
    return PatternFamily(
        FAMILIES[name],
        autoencoder.requires_grad_(False),
        clusters=clusters,
        error=about["error"],
        pca_error=about["pca_error"],
        stability=about["stability"],
        **arrays,
    )
