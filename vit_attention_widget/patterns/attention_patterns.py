"""The attention patterns that the heads of a model have learned, over a set of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..data.items import ImagesLike
from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.fingerprint import ModelFingerprint, fingerprint
from ..results.html import block
from ..results.unfinished import Unfinished, warn_if_stopped
from ..runs.long_run import How, long_run
from ..runs.skipped import OnError
from ..support.deprecation import renamed_attribute, renamed_keywords
from ..support.progress import Progress, ProgressLike, part_of
from ..support.stopped import free_frames, is_stop, remembering
from ..tracing.model_or_trace import masks_of
from ..tracing.trace import Trace
from .clusters import Cluster
from .collecting import CollectedHeads, collect_heads, count_in, model_of
from .family_spec import FAMILIES, PATCHES, FamilyName
from .layout import Floats
from .learning import Learning
from .pattern_family import PatternFamily
from .placed_heads import PlacedHeads
from .pooled_heads import pool_heads
from .storage import read_patterns, write_patterns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame
    from xarray import Dataset

__all__ = ["AttentionPatterns"]

_COLLECTING = 0.4
"""Share of the progress that is for running the model on the images."""


class AttentionPatterns(Unfinished):
    """A map of what heads do: the attention of every head over a set of images (Li et al. 2023).

    An autoencoder is trained on the attention of all heads, in two families: attention among the
    patches, and attention of and to the class token. Its codes are arranged in the plane and
    clustered, and heads of other images can be placed among them.

    Parameters
    ----------
    latent : int
        Length of a code.
    seed : int
        The same seed on the same machine gives the same map.
    clusters : int, optional
        How many; by default as many as have different names.
    seeds : int
        With how many seeds everything is learned, to measure how stable the clusters are.

    Attributes
    ----------
    families : dict
        ``{"patches": PatternFamily, "class": PatternFamily}``, empty before :meth:`fit`.
    error : Exception or None
        What ended :meth:`fit` early; the patterns are of what there was by then.
    complete : bool
        Whether they are of all images; :attr:`how_far` says of how many.

    Notes
    -----
    The paper's architecture, code size, loss, projection and clustering are not published in
    readable form; those here are ours. Attention is pooled to 7 x 7 cells (14 x 14 for the class
    token) and its square root taken. The autoencoder starts as PCA and learns what PCA cannot
    represent; ``reconstruction_error`` and ``pca_error``, on held-out heads, say how much better it
    became. The map is by t-SNE (openTSNE), the clusters by k-means (scikit-learn); without a
    number, many clusters are made, and those with the same name become one.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> scenes = [vaw.demo.scene(seed=s).image for s in range(6)]
    >>> patterns = vaw.AttentionPatterns(seeds=1).fit(vaw.demo.load_model(), scenes)
    >>> patterns.values.shape  # images x layers x heads points of the plane
    torch.Size([144, 2])
    >>> len(patterns.nearest(layer=5, head=0, count=3))
    3
    """

    def __init__(
        self, latent: int = 32, *, seed: int = 0, clusters: int | None = None, seeds: int = 3
    ) -> None:
        for name, value, least in (("latent", latent, 2), ("seeds", seeds, 1)):
            if value < least:
                raise ParameterError(f"{name} is {value}: at least {least} was expected.")
        if clusters is not None and clusters < 1:
            raise ParameterError(f"clusters is {clusters}: at least 1 was expected.")
        self.latent, self.seed, self.num_clusters, self.seeds = latent, seed, clusters, seeds
        self.families: dict[FamilyName, PatternFamily] = {}
        self.fingerprint: ModelFingerprint | None = None
        self.error: Exception | None = None
        self.total: int | None = None
        self.ongoing, self._count = False, 0
        self.skipped: Mapping[int, str] = {}

    identity = renamed_attribute("fingerprint")

    def __repr__(self) -> str:
        if self.fingerprint is None:
            return "<AttentionPatterns, not fitted yet>"
        parts = [f"{len(f)} heads in {len(f.clusters)} clusters ({n})" for n, f in self]
        about = f"{self.fingerprint.name}: {', '.join(parts)}{self._shortfall()}"
        return f"<AttentionPatterns of {about}>"

    @property
    def done(self) -> int:
        """Number of images that the patterns were learned from."""
        return self._count

    def set_done(self, images: object) -> None:
        """Take the number of images out of a file; files of earlier releases do not say it."""
        if images is None:
            images = len({int(image) for image in self.family().heads[:, 0]})
        if type(images) is not int:
            raise ValueError("it does not say of how many images it is")
        self._count = images

    def __iter__(self) -> Iterator[tuple[FamilyName, PatternFamily]]:
        return iter(self.families.items())

    @renamed_keywords({"model": "model_or_trace"})
    def fit(
        self,
        model_or_trace: nn.Module | VisionTransformer | Trace | list[Trace] | tuple[Trace, ...],
        images: ImagesLike | None = None,
        *,
        start: CollectedHeads | None = None,
        store: str | Path | None = None,
        executor: Executor | None = None,
        on_error: OnError | None = None,
        progress: ProgressLike = None,
    ) -> AttentionPatterns:
        """Learn the patterns of all heads over some images.

        Parameters
        ----------
        model_or_trace : nn.Module, Trace or list of Trace
            Traces bring their images.
        images : list, float tensor, data set or loader
            Their sizes may differ where the model takes it. Labels are not needed.
        start : CollectedHeads, optional
            What a fit to the same images had collected before it was stopped, from
            :func:`~vit_attention_widget.kept_result`; only the other images are run.
        store : str or Path, optional
            A folder, in which the heads are written as they are collected. The same call goes on
            from it, also after the process was killed; learning begins anew, with the same result.
        executor : Executor, optional
            What computes the batches: one of ``concurrent.futures``, or Dask's
            ``client.get_executor(pure=False, retries=2)``. Its workers read the images, best given
            as paths, and load the model once. Without it all is computed here.
        on_error : {"raise", "skip", "retry"}, optional
            What becomes of an image that cannot be read, or whose worker fails each time.
            ``"skip"`` goes on without it: ``.skipped`` names it, and the same call does not try it
            again;
            ``"retry"`` does. ``"raise"``, the default without ``executor``, ends there.
        progress : callable or bool, optional
            True for a progress bar, or a function of (fraction, label[, seconds left]); it may
            raise :class:`~vit_attention_widget.errors.JobCancelled`. A fit that does not end leaves
            the patterns as they were.

        Raises
        ------
        ParameterError
            If there are too few heads to learn from, or the libraries are missing.
        ImageError, UnsupportedModelError

        Warns
        -----
        UserWarning
            If an error ends it after the first images: the patterns are learned from those; after
            the first family: the patterns are that family. The error is in ``.error``. After Ctrl-C
            and cancel, and after an error before the first family is learned, which is raised,
            :func:`~vit_attention_widget.kept_result` returns the heads that were collected.
        """
        if not isinstance(self, AttentionPatterns):  # as MemoryBank.fit is called
            raise ParameterError(
                "fit is called on patterns, not on their class: "
                "vaw.AttentionPatterns().fit(model, images)."
            )
        total, vit = count_in(model_or_trace, images), model_of(model_or_trace)
        of_model = fingerprint(vit)
        with (
            remembering(),
            long_run(
                "AttentionPatterns.fit",
                vit,
                CollectedHeads,
                partial(CollectedHeads.joined, of_model=of_model),
                _checked(start, vit),
                How(start, store, executor, on_error, progress),
                total,
                head_mask=masks_of(model_or_trace),
            ) as run,
        ):
            report, kept = run.report, run.kept
            error: Exception | None = None
            try:
                collecting = part_of(report, 0, _COLLECTING)
                collected = kept.after(collect_heads(model_or_trace, images, run, collecting))
            except Exception as stopped:
                if is_stop(stopped) or kept.gained() is None:
                    raise
                error, collected = stopped, kept.result()
            families, error = self._learned(collected, error, part_of(report, _COLLECTING, 1))
        if error is not None:
            free_frames(error)
        self.families, self.fingerprint = families, of_model
        self.error, self.total, self.ongoing = error, total or len(collected), False
        self._count, self.skipped = len(collected), collected.skipped
        warn_if_stopped(self, "The map of patterns")
        return self

    def _learned(
        self, collected: CollectedHeads, error: Exception | None, report: Progress
    ) -> tuple[dict[FamilyName, PatternFamily], Exception | None]:
        """The families that could be learned, and the error that ended it, if one did."""
        learning = Learning(self.latent, self.seed, self.num_clusters, self.seeds)
        share = 1 / len(collected.families)
        families: dict[FamilyName, PatternFamily] = {}
        for i, (name, heads) in enumerate(collected.families.items()):
            progress = part_of(report, i * share, (i + 1) * share)
            try:
                families[name] = learning.family(FAMILIES[name], heads, progress)
            except Exception as stopped:
                if error is not None and not families:  # too few to learn from: say why
                    raise error from stopped
                if is_stop(stopped) or not families:
                    raise
                return families, stopped
        return families, error

    # What was learned -----------------------------------------------------------------------------

    def family(self, name: FamilyName | None = None) -> PatternFamily:
        """One family, ``"patches"`` by default.

        Raises
        ------
        ParameterError
            If nothing was fitted yet, or the model has no such family.
        """
        if not self.families:
            raise ParameterError("Nothing was learned yet: call fit(model, images) first.")
        name = PATCHES.name if name is None else name
        if name not in self.families:
            raise ParameterError(
                f"There is no family {name!r} here: choose from {', '.join(self.families)}."
                + (" The model has no class token." if name in FAMILIES else "")
            )
        return self.families[name]

    @property
    def values(self) -> Tensor:
        """[point, coordinate], the map of ``patches``: a point for each head of each image."""
        return self.family().values

    @property
    def embedding(self) -> Floats:
        """[point, 2], the map of the family ``patches`` as an array."""
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
        family: FamilyName | None = None,
        image: int | None = None,
        count: int | None = 5,
    ) -> list[tuple[int, int, float]]:
        """Heads with similar patterns; see :meth:`.PatternFamily.nearest`."""
        return self.family(family).nearest(layer, head, image, count)

    def reconstruct(
        self, layer: int, head: int, image: int = 0, *, family: FamilyName | None = None
    ) -> Floats:
        """Pooled attention of a head, decoded from its code; :meth:`.PatternFamily.reconstruct`."""
        return self.family(family).reconstruct(layer, head, image)

    def place(self, trace: Trace) -> dict[FamilyName, PlacedHeads]:
        """Place the heads of other images of the same model on the map.

        Raises
        ------
        ParameterError
            If the trace is of another model, or nothing was fitted yet.
        """
        self.check(trace.model)
        pooled = pool_heads(trace)
        return {name: family.place(pooled[name]) for name, family in self}

    def check(self, model: nn.Module | VisionTransformer) -> None:
        """Raise :class:`ParameterError` unless the map was learned from this model."""
        self.family()
        assert self.fingerprint is not None
        self.fingerprint.check(model)

    def summary(self) -> str:
        """What was learned, in a few lines."""
        lines = []
        for name, family in self:
            lines.append(f"{name}: {family.summary()}")
            lines += [f"  {cluster.size:6d}  {cluster.name}" for cluster in family.clusters]
        return "\n".join(lines)

    # Pictures, tables and files -------------------------------------------------------------------

    def plot(self, ax: Axes | None = None, *, family: FamilyName | None = None) -> Axes:
        """Draw the map of a family in the colors of its clusters. Needs matplotlib."""
        return self.family(family).plot(ax)

    def _repr_html_(self) -> str:
        return block(repr(self), *(family._repr_html_() for _, family in self))

    def to_dataframe(self, *, family: FamilyName | None = None) -> DataFrame:
        """A pandas table of one family: a row for each image and head."""
        return self.family(family).to_dataframe()

    def to_xarray(self, *, family: FamilyName | None = None) -> Dataset:
        """An xarray data set of one family."""
        return self.family(family).to_xarray()

    def to_csv(self, path: str | Path, *, family: FamilyName | None = None) -> None:
        """Write the table of one family."""
        self.family(family).to_csv(path)

    def save(self, path: str | Path) -> None:
        """Write all families as a safetensors file.

        Raises
        ------
        ParameterError
            If nothing was fitted yet, or the file cannot be written.
        """
        self.family()
        write_patterns(self, path)

    @classmethod
    def load(
        cls, path: str | Path, model: nn.Module | VisionTransformer | None = None
    ) -> AttentionPatterns:
        """Read patterns that were written by :meth:`save`; checked against the model, if given.

        Raises
        ------
        ParameterError
            If the file does not exist, is damaged, holds something else, or is of another model.
        """
        patterns = cls()
        read_patterns(patterns, path)
        if model is not None:
            patterns.check(model)
        return patterns


def _checked(start: CollectedHeads | None, vit: VisionTransformer) -> list[CollectedHeads]:
    if start is None:
        return []
    if not isinstance(start, CollectedHeads):
        raise ParameterError(f"start is a {type(start).__name__}, not collected heads.")
    start.fingerprint.check(vit, "start was collected", "Go on with the same model.")
    return [replace(start, ongoing=False, error=None, skipped={})]
