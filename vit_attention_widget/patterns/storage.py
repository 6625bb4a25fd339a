"""Attention patterns in a file: what each family writes, and which model they are of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..models.fingerprint import ModelFingerprint
from ..results.files import reading
from ..results.storage import JsonObject, read_tensors, write_tensors
from ..results.unfinished import extent_from, skipped_from
from .pattern_family import PatternFamily

if TYPE_CHECKING:
    from .attention_patterns import AttentionPatterns

__all__ = ["read_patterns", "write_patterns"]

_KIND = "patterns"


def write_patterns(patterns: AttentionPatterns, path: str | Path) -> None:
    """Write learned patterns."""
    assert patterns.fingerprint is not None
    tensors, model = patterns.fingerprint.to_parts()
    families: dict[str, JsonObject] = {}
    for name, family in patterns:
        of_family, families[name] = family._to_parts()
        tensors.update({f"{name}.{key}": tensor for key, tensor in of_family.items()})
    about = {
        "model": model,
        "latent": patterns.latent,
        "seed": patterns.seed,
        "clusters": patterns.num_clusters,
        "seeds": patterns.seeds,
        "families": families,
        "images": patterns.done,
        **patterns._about_extent(),
    }
    write_tensors(path, _KIND, tensors, about)


def read_patterns(patterns: AttentionPatterns, path: str | Path) -> None:
    """Read patterns into an object that has none."""
    tensors, about = read_tensors(path, _KIND, hint="write it with patterns.save(path)")
    with reading(path):
        patterns.latent, patterns.seed = about["latent"], about["seed"]
        patterns.num_clusters, patterns.seeds = about["clusters"], about["seeds"]
        patterns.families = {
            name: PatternFamily._from_parts(_of(name, tensors), {"name": name, **family})
            for name, family in about["families"].items()
        }
        patterns.fingerprint = ModelFingerprint.from_parts(tensors, about["model"])
        patterns.error, patterns.total, patterns.ongoing = extent_from(about)
        patterns.skipped = skipped_from(about)
        patterns.set_done(about.get("images"))
    patterns.fingerprint.warn_if_old(path)


def _of(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one family."""
    start = f"{name}."
    return {key.removeprefix(start): t for key, t in tensors.items() if key.startswith(start)}
