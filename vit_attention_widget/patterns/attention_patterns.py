"""The patterns that the heads of a model have learned, over a set of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.items import count_images
from ..data.reader import batches
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer, describe
from ..models.fingerprint import ModelFingerprint, fingerprint
from ..support.deprecation import renamed_attribute, renamed_keywords
from ..support.progress import Progress, no_progress
from ..tracing.run import trace
from ..tracing.trace import Trace
from . import storage
from .autoencoder import encode_all, fit_autoencoder
from .clusters import Cluster, agreement, describe_clusters, find_clusters, merge_namesakes
from .layout import lay_out
from .pattern_family import PatternFamily, Placed, as_pattern
from .pooled_heads import FAMILIES, PATCHES, Family, HeadBlocks, head_blocks

__all__ = ["AttentionPatterns"]

Floats = NDArray[np.float32]

_AT_ONCE = 8
_MANY = 16
"""Clusters before those that do the same are merged."""

_LOOKING = 0.4
"""Share of a fit's progress that looking at the images takes."""


class AttentionPatterns:
    """A map of what heads do: attention of every head over a set of images (Li et al. 2023).

    An autoencoder is trained on the attention of all heads, in two families: among the patches, and
    of and to the class token. Its codes are arranged in the plane and clustered; heads of other
    images can be placed among them.

    Parameters
    ----------
    latent : int
        Length of a code.
    seed : int
        The same seed on the same machine gives the same map.
    clusters : int, optional
        How many; by default as many as have different names.
    seeds : int
        How often everything is learnt to see how stable the clusters are; 1 for once.

    Attributes
    ----------
    families : dict
        ``{"patches": PatternFamily, "class": PatternFamily}``, empty before :meth:`fit`.

    Notes
    -----
    The paper's architecture, size of the code, loss, projection and clustering are not published in
    readable form; those here are ours. Attention is pooled to 7 x 7 cells (14 x 14 for the class
    token) and its square root taken. The autoencoder starts as PCA and learns what PCA cannot say;
    ``error`` and ``pca_error``, on heads that had no part in that, say how much better it became.
    The map is t-SNE (openTSNE). The clusters are k-means (scikit-learn); without a number,
    many are made, and those of which the same can be said are one.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> scenes = [vaw.demo.scene(seed=s).image for s in range(6)]
    >>> patterns = vaw.AttentionPatterns(seeds=1).fit(vaw.demo.load_model(), scenes)
    >>> patterns.embedding.shape  # images x layers x heads points of the plane
    (144, 2)
    >>> len(patterns.nearest(layer=5, head=0, count=3))
    3
    """

    identity = renamed_attribute("fingerprint")

    def __init__(
        self, latent: int = 32, *, seed: int = 0, clusters: int | None = None, seeds: int = 3
    ) -> None:
        for name, value, least in (("latent", latent, 2), ("seeds", seeds, 1)):
            if value < least:
                raise ParameterError(f"{name} is {value}: at least {least} was expected.")
        if clusters is not None and clusters < 1:
            raise ParameterError(f"clusters is {clusters}: at least 1 was expected.")
        self.latent, self.seed, self.num_clusters, self.seeds = latent, seed, clusters, seeds
        self.families: dict[str, PatternFamily] = {}
        self.fingerprint: ModelFingerprint | None = None

    def __repr__(self) -> str:
        if self.fingerprint is None:
            return "<AttentionPatterns, not fitted yet>"
        parts = [f"{len(f)} heads in {len(f.clusters)} clusters ({n})" for n, f in self]
        return f"<AttentionPatterns of {self.fingerprint.name}: {', '.join(parts)}>"

    def __iter__(self) -> Iterator[tuple[str, PatternFamily]]:
        return iter(self.families.items())

    # Learning ------------------------------------------------------------------------------------

    @renamed_keywords({"model": "model_or_trace"})
    def fit(
        self,
        model_or_trace: nn.Module | VisionTransformer | Trace | Sequence[Trace],
        images: Any = None,
        *,
        progress: Progress | None = None,
    ) -> AttentionPatterns:
        """Learn the patterns of all heads over some images.

        Parameters
        ----------
        model_or_trace : nn.Module, Trace or list of Trace
            Traces bring their images.
        images : list, float tensor, data set or loader
            Their sizes may differ where the model takes it. Labels are not needed.
        progress : callable, optional
            Called with (fraction, label); it may raise
            :class:`~vit_attention_widget.errors.JobCancelled`. A fit that does not end leaves what
            was fitted before.

        Raises
        ------
        ParameterError
            If there are too few heads to learn from, or the libraries are missing.
        ImageError, UnsupportedModelError
        """
        report = progress or no_progress
        model_fingerprint, blocks = _collect(
            model_or_trace, images, lambda f, label: report(f * _LOOKING, label)
        )
        families = {}
        for i, (name, found) in enumerate(blocks.items()):

            def part(fraction: float, label: str, i: int = i) -> None:
                report(_LOOKING + (i + fraction) / len(blocks) * (1 - _LOOKING), label)

            families[name] = self._learn(name, found, part)
        self.families, self.fingerprint = families, model_fingerprint
        return self

    def _learn(self, name: str, found: HeadBlocks, report: Progress) -> PatternFamily:
        family, heads = FAMILIES[name], found.heads.numpy()
        held_out, scores = _held_out(found.heads, self.seed), found.scores.float().numpy()

        def learn(seed: int, share: float) -> tuple[Any, Floats, NDArray[np.int64]]:
            def trained(fraction: float) -> None:
                report(share + fraction * 0.6 / self.seeds, f"learning patterns ({name})")

            fit = fit_autoencoder(found.vectors, held_out, self.latent, seed, trained)
            codes = encode_all(fit.autoencoder, found.vectors).numpy()
            return fit, codes, self._clustered(codes, scores, family, seed)

        fit, codes, labels = learn(self.seed, 0.0)
        others = [
            learn(self.seed + again, again * 0.6 / self.seeds)[2] for again in range(1, self.seeds)
        ]
        every = [labels, *others]
        pairs = [agreement(a, b) for i, a in enumerate(every) for b in every[:i]]

        def arranged(fraction: float) -> None:
            report(0.6 + 0.4 * fraction, f"arranging heads ({name})")

        patterns = [_mean(found.vectors, labels == k, family) for k in range(labels.max() + 1)]
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
            float(np.mean(pairs)) if pairs else float("nan"),
        )

    def _clustered(
        self, codes: Floats, scores: Floats, family: Family, seed: int
    ) -> NDArray[np.int64]:
        labels = find_clusters(codes, seed, self.num_clusters or _MANY)
        return labels if self.num_clusters else merge_namesakes(labels, scores, family)

    # What was learnt -----------------------------------------------------------------------------

    def family(self, name: str | None = None) -> PatternFamily:
        """One family, ``"patches"`` by default.

        Raises
        ------
        ParameterError
            If nothing was fitted yet, or the model has no such family.
        """
        if not self.families:
            raise ParameterError("Nothing was learnt yet: call fit(model, images) first.")
        name = PATCHES.name if name is None else name
        if name not in self.families:
            raise ParameterError(
                f"There is no family {name!r} here: choose from {', '.join(self.families)}."
                + (" The model has no class token." if name in FAMILIES else "")
            )
        return self.families[name]

    @property
    def embedding(self) -> Floats:
        """Points of all heads, [image x layer x head, 2], of the family ``patches``."""
        return self.family().embedding

    @property
    def clusters(self) -> list[Cluster]:
        """Clusters of the family ``patches``, the largest first."""
        return self.family().clusters

    def nearest(
        self,
        layer: int,
        head: int,
        *,
        family: str | None = None,
        image: int | None = None,
        count: int | None = 5,
    ) -> list[tuple[int, int, float]]:
        """Heads like this one; see :meth:`PatternFamily.nearest`."""
        return self.family(family).nearest(layer, head, image, count)

    def reconstruct(
        self, layer: int, head: int, image: int = 0, *, family: str | None = None
    ) -> Floats:
        """Pooled attention of a head as its code remembers it; see :meth:`PatternFamily`."""
        return self.family(family).reconstruct(layer, head, image)

    def place(self, found: Trace) -> dict[str, Placed]:
        """Place the heads of other images of the same model on the map.

        Raises
        ------
        ParameterError
            If the trace is of another model, or nothing was fitted yet.
        """
        self.check(found.model)
        blocks = head_blocks(found)
        return {name: family.place(blocks[name]) for name, family in self}

    def check(self, model: nn.Module | VisionTransformer) -> None:
        """Raise :class:`ParameterError` unless the map was made of this model."""
        self.family()
        assert self.fingerprint is not None
        self.fingerprint.check(model)

    def summary(self) -> str:
        """What was found, as lines for a person."""
        lines = []
        for name, family in self:
            gain = 1 - family.error / family.pca_error if family.pca_error else 0.0
            lines.append(
                f"{name}: {len(family)} heads, error {gain:.0%} below PCA's, "
                f"clusters agree {family.stability:.2f} over seeds"
            )
            lines += [f"  {c.size:6d}  {c.name}" for c in family.clusters]
        return "\n".join(lines)

    # Files ---------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the map as safetensors."""
        self.family()
        storage.save(self, path)

    @classmethod
    def load(
        cls, path: str | Path, model: nn.Module | VisionTransformer | None = None
    ) -> AttentionPatterns:
        """Read a map that was written by :meth:`save`; checked against the model, if given.

        Raises
        ------
        ParameterError
            If the file is none of these, or of another model.
        """
        found = cls()
        storage.load(found, path)
        if model is not None:
            found.check(model)
        return found


def _collect(
    model: nn.Module | VisionTransformer | Trace | Sequence[Trace], images: Any, report: Progress
) -> tuple[ModelFingerprint, dict[str, HeadBlocks]]:
    """Blocks of all heads of all images, their vectors in 8 bits."""
    parts: dict[str, list[HeadBlocks]] = {}
    model_fingerprint: ModelFingerprint | None = None
    first = 0
    for found, fraction in _traces(model, images):
        report(fraction, f"looking at image {first}")
        if model_fingerprint is None:
            model_fingerprint = fingerprint(found.model)
        else:
            model_fingerprint.check(found.model)
        for name, blocks in head_blocks(found).items():
            heads = blocks.heads + torch.tensor([first, 0, 0])
            parts.setdefault(name, []).append(HeadBlocks(blocks.levels, blocks.scores, heads))
        first += found.batch_size
    if model_fingerprint is None:
        raise ImageError("There are no images: give at least one.")
    return model_fingerprint, {
        name: HeadBlocks(
            torch.cat([p.vectors for p in several]),
            torch.cat([p.scores for p in several]),
            torch.cat([p.heads for p in several]),
        )
        for name, several in parts.items()
    }


def _traces(model: Any, images: Any) -> Iterator[tuple[Trace, float]]:
    given = [model] if isinstance(model, Trace) else model
    if isinstance(given, list | tuple):
        if images is not None:
            raise ParameterError("Images were given beside traces, which have their own.")
        for i, found in enumerate(given):
            yield found, i / len(given)
        return
    vit, total, done = describe(model), count_images(images), 0
    for batch in batches(images, None, _AT_ONCE):
        for inputs in batch.inputs_by_size(vit):
            yield trace(vit, inputs, gradients=False), done / total if total else 0.0
            done += len(inputs)


def _mean(vectors: Tensor, chosen: NDArray[np.bool_], family: Family) -> Floats:
    """Mean attention of some heads, as a picture."""
    which = torch.from_numpy(np.flatnonzero(chosen))
    total = torch.zeros(family.size, dtype=torch.float64)
    for some in which.split(4096):
        total += (vectors[some].float() / 255).square().sum(0)
    return as_pattern((total / len(which)).sqrt().float().numpy()[None], family)[0]


def _held_out(heads: Tensor, seed: int) -> Tensor:
    """Which heads are not trained on: those of a tenth of the images, or some of one image's."""
    generator = torch.Generator().manual_seed(seed)
    images = heads[:, 0].unique()
    if len(images) >= 5:
        chosen = images[
            torch.randperm(len(images), generator=generator)[: max(1, len(images) // 10)]
        ]
        return torch.isin(heads[:, 0], chosen)
    mask = torch.zeros(len(heads), dtype=torch.bool)
    mask[torch.randperm(len(heads), generator=generator)[: max(1, len(heads) // 5)]] = True
    return mask
