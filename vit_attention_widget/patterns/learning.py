"""Learn the patterns of one family: codes, a map, clusters, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..support.progress import Progress
from .autoencoder import Fit, encode_all, fit_autoencoder
from .clusters import Labels, adjusted_rand_index, describe_clusters, find_clusters
from .family_spec import FamilySpec
from .layout import Floats, lay_out
from .pattern_family import PatternFamily
from .pictures import as_pictures
from .pooled_heads import PooledHeads

__all__ = ["Learning"]

_CODES = 0.6
"""Share of the progress that is for codes and clusters; the rest is for the map."""


@dataclass(frozen=True)
class Learning:
    """How patterns are learned; see :class:`~.attention_patterns.AttentionPatterns`."""

    latent: int
    seed: int
    clusters: int | None
    seeds: int

    def family(self, family: FamilySpec, pooled: PooledHeads, progress: Progress) -> PatternFamily:
        """Learn the patterns of these heads, with vectors in 8 bits."""
        heads, scores = pooled.heads.numpy(), pooled.scores.float().numpy()
        fit, codes, labels = self._clustered(family, pooled, 0, progress)
        repeated = [
            self._clustered(family, pooled, repeat, progress)[2] for repeat in range(1, self.seeds)
        ]

        def arranged(fraction: float) -> None:
            progress(_CODES + (1 - _CODES) * fraction, f"arranging heads ({family.name})")

        patterns = [
            _mean_pattern(pooled.vectors, labels == label, family)
            for label in range(labels.max() + 1)
        ]
        return PatternFamily(
            family,
            fit.autoencoder,
            heads,
            lay_out(codes, self.seed, arranged),
            codes,
            labels,
            scores,
            describe_clusters(labels, scores, heads[:, 1], patterns, family),
            fit.error,
            fit.pca_error,
            _stability([labels, *repeated]),
        )

    def _clustered(
        self, family: FamilySpec, pooled: PooledHeads, repeat: int, progress: Progress
    ) -> tuple[Fit, Floats, Labels]:
        """An autoencoder, its codes and their clusters, with one of the seeds."""
        share, seed = _CODES / self.seeds, self.seed + repeat

        def trained(fraction: float) -> None:
            progress((repeat + fraction) * share, f"learning patterns ({family.name})")

        held_out = _held_out(pooled.heads, self.seed)
        fit = fit_autoencoder(pooled.vectors, held_out, self.latent, seed, trained)
        codes = encode_all(fit.autoencoder, pooled.vectors).numpy()
        scores = pooled.scores.float().numpy()
        return fit, codes, find_clusters(codes, scores, family, seed, self.clusters)


def _stability(clusterings: list[Labels]) -> float:
    """Mean adjusted Rand index of all pairs; NaN where there is none."""
    pairs = [(one, other) for i, one in enumerate(clusterings) for other in clusterings[:i]]
    agreement = [adjusted_rand_index(one, other) for one, other in pairs]
    return float(np.mean(agreement)) if agreement else float("nan")


def _mean_pattern(vectors: Tensor, chosen: NDArray[np.bool_], family: FamilySpec) -> Floats:
    """Mean attention of some heads, as a picture."""
    index = torch.from_numpy(np.flatnonzero(chosen))
    total = torch.zeros(family.size, dtype=torch.float64)
    for some in index.split(4096):
        total += (vectors[some].float() / 255).square().sum(0)
    vector = (total / len(index)).sqrt().float().numpy()
    picture: Floats = as_pictures(vector[None], family)[0]
    return picture


def _held_out(heads: Tensor, seed: int) -> Tensor:
    """Which heads are held out, [head]: those of a tenth of the images, or a fifth of few heads."""
    generator = torch.Generator().manual_seed(seed)
    images = heads[:, 0].unique()
    if len(images) >= 5:
        order = torch.randperm(len(images), generator=generator)
        return torch.isin(heads[:, 0], images[order[: max(1, len(images) // 10)]])
    held_out = torch.zeros(len(heads), dtype=torch.bool)
    order = torch.randperm(len(heads), generator=generator)
    held_out[order[: max(1, len(heads) // 5)]] = True
    return held_out
