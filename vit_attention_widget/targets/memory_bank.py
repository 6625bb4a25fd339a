"""What a self-supervised model takes an image for, judged by its nearest neighbors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..data.items import ImagesLike, count_images, is_image
from ..data.labels import Label, LabelsLike, number_classes, with_labels
from ..data.reader import Batch, batches
from ..errors import ImageError, ParameterError, TargetError
from ..models import VisionTransformer, describe
from ..models.class_names import ClassNamesLike, class_names_of, read_class_names
from ..models.fingerprint import ModelFingerprint, fingerprint
from ..results.files import reading
from ..results.unfinished import Unfinished, warn_if_stopped
from ..runs.long_run import How, long_run
from ..runs.skipped import OnError
from ..support.deprecation import renamed_attribute, renamed_keywords
from ..support.progress import Progress, ProgressLike
from ..support.steps import last_known
from . import bank_file
from .of_features import check_features, whole
from .remembered import Remembered, remembered
from .target import Target, TargetSpec

__all__ = ["MemoryBank"]


class MemoryBank(Unfinished):
    r"""Features of labeled images, by which a model trained without classes is given some.

    An image's class is the vote of its k nearest neighbors; what of its features makes it so is a
    weight for each dimension (Liao, Gao and Zhang: *Dynamic Accumulated Attention Map*, Pattern
    Recognition 165, 2025; both as in the authors' code). With :math:`f` the feature vector and
    :math:`b` the neighbors, all of length 1: the vote of a neighbor is :math:`\exp(f \cdot b /
    T)`; the weights are the mean of :math:`f \odot b` over the neighbors of the winning class,
    min-maxed to [0, 1].

    Attributes
    ----------
    features : Tensor
        [image, dim] float32, each of length 1.
    labels : Tensor
        [image] int64, indices into ``class_names``.
    class_names : list of str
    k : int
        How many neighbors vote.
    temperature : float
        T of the vote.
    fingerprint : ModelFingerprint
        Of the model whose features they are.
    error : Exception or None
        What ended :meth:`fit` early; the images before are here.
    complete : bool
        Whether all images are here; :attr:`how_far` says how many are.

    Notes
    -----
    The authors also divide the mean by the size of its sum, which the min-max undoes.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> model.reset_classifier(0)  # what it returns now are its features
    >>> scenes = [vaw.demo.scene(seed) for seed in range(40)]
    >>> bank = vaw.targets.MemoryBank.fit(
    ...     model, [s.image for s in scenes], [s.name for s in scenes], k=5
    ... )
    >>> trace = vaw.trace(model, vaw.demo.scene(99, "star").image, bank.target())
    >>> vaw.explainers.daam(trace).final.shape
    torch.Size([1, 10, 10])
    """

    identity = renamed_attribute("fingerprint")

    @renamed_keywords({"who": "fingerprint"})
    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        class_names: Sequence[str],
        fingerprint: ModelFingerprint,
        *,
        k: int = 20,
        temperature: float = 0.07,
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ParameterError(f"k is {k!r}: at least 1 neighbor has to vote.")
        if not temperature > 0:  # NaN too
            raise ParameterError(f"temperature is {temperature!r}: it must be above 0.")
        self.features, self.labels, self.class_names = features, labels, list(class_names)
        self.fingerprint, self.k, self.temperature = fingerprint, k, float(temperature)
        self.error: Exception | None = None
        self.total: int | None = None
        self.ongoing = False
        self.skipped: Mapping[int, str] = {}
        self._by_name = False  # whether it was given labels as names

    def __repr__(self) -> str:
        return (
            f"<MemoryBank of {self.fingerprint.name}: {len(self)} images, {len(self.class_names)} "
            f"classes, {self.k} neighbors vote{self._shortfall()}>"
        )

    @property
    def done(self) -> int:
        """Number of images."""
        return len(self)

    def _stopped(self, error: Exception) -> MemoryBank:
        self.error = error
        return self

    def _so_far(self, total: int | None, ongoing: bool, skipped: Mapping[int, str]) -> MemoryBank:
        self.total, self.skipped = total, skipped
        return self

    def __len__(self) -> int:
        return len(self.features)

    def _told_by(self) -> dict[str, object]:
        """What tells it from other banks, where a run is kept."""
        names = ("features", "labels", "class_names", "fingerprint", "k", "temperature")
        return {name: getattr(self, name) for name in names}

    def _labels(self) -> list[Label]:
        """The label of each image, as it was given."""
        index: list[Label] = self.labels.tolist()
        return [self.class_names[int(i)] for i in index] if self._by_name else index

    @classmethod
    def fit(
        cls,
        model: nn.Module | VisionTransformer,
        images: ImagesLike,
        labels: LabelsLike | None = None,
        *,
        class_names: ClassNamesLike | None = None,
        k: int = 20,
        temperature: float = 0.07,
        batch_size: int = 16,
        start: MemoryBank | None = None,
        store: str | Path | None = None,
        executor: Executor | None = None,
        on_error: OnError | None = None,
        progress: ProgressLike = None,
    ) -> MemoryBank:
        """Run a model on labeled images and keep what it makes of them.

        Parameters
        ----------
        model : nn.Module
            A supported Vision Transformer without classifier; it is not changed.
        images : tensor, list, data set or loader
            Without ``labels`` it has to yield (image, label), (images, labels) of a batch, or
            mappings with both.
        labels : sequence of int or str, optional
            The class of each image, all by index or all by name.
        class_names : sequence of str, mapping or path, optional
            What the indices mean: a list, ``{index: name}``, or a .txt or .json file of these; by
            default what the data set calls its classes.
        k, temperature
            See the class.
        batch_size : int
            Images at once.
        start : MemoryBank, optional
            What the same call remembered before it was stopped; only the other images are run.
        store : str or Path, optional
            A folder, in which what is computed is written as it is computed. The same call goes on
            from it, also after the process was killed.
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
            Called with (fraction, label[, seconds left]) after each batch; True shows a progress
            bar. The fraction is 0 while the number of images is not known. It may raise
            :class:`~vit_attention_widget.errors.JobCancelled` to stop.

        Raises
        ------
        TargetError
            If the model has a classifier.
        ParameterError
            If labels are missing, of two kinds, or not as many as the images.
        ImageError
            If there are no images, or the first cannot be read.

        Warns
        -----
        UserWarning
            If an error ends it after the first images: the bank holds those, and the error in
            ``.error``. After Ctrl-C and cancel it is what
            :func:`~vit_attention_widget.kept_result` returns.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ParameterError(f"batch_size is {batch_size!r}: it must be at least 1.")
        if start is not None and not isinstance(start, MemoryBank):
            raise ParameterError(f"start is a {type(start).__name__}, not a MemoryBank.")
        vit = describe(model)
        check_features(vit)
        if is_image(images):
            raise ImageError(
                f"The images are a {type(images).__name__}, but a list, a data set or a loader was "
                "expected: put a single image into a list."
            )
        if start is not None:
            start.fingerprint.check(vit, "start was made", "Go on with the same model.")
        total = count_images(images)
        pairs = images if labels is None else with_labels(images, labels)
        said = class_names_of(images) if class_names is None else read_class_names(class_names)

        def bank(parts: Sequence[Remembered]) -> MemoryBank:
            all_labels = [label for part in parts for label in part.labels]
            index, names = number_classes(all_labels, said)
            features = torch.cat([part.features for part in parts])
            new = cls(features, index, names, fingerprint(vit), k=k, temperature=temperature)
            new._by_name = isinstance(all_labels[0], str)
            return new

        before = [] if start is None else [Remembered(start.features, start._labels())]

        def steps() -> Iterator[MemoryBank]:
            with long_run(
                "MemoryBank.fit",
                vit,
                Remembered,
                bank,
                before,
                How(start, store, executor, on_error, progress),
                total,
                labels=labels,
            ) as run:
                yield run.kept.after(run.over(batches(pairs, None, batch_size), _of_batch))

        fitted = last_known(steps())
        warn_if_stopped(fitted, "The memory bank")
        return fitted

    def vote(self, features: Tensor) -> Tensor:
        """What the neighbors of features [batch, dim] say: votes [batch, class], not normalized.

        Raises
        ------
        TargetError
            If the features are not as long as those of the bank.
        """
        likeness, nearest = self._neighbors(self._unit(features))
        votes = torch.zeros(len(likeness), len(self.class_names))
        return votes.scatter_add(1, self.labels[nearest], (likeness / self.temperature).exp())

    def weights(self, features: Tensor, index: Sequence[int] | None = None) -> Tensor:
        """Importance of each dimension of features [batch, dim], in [0, 1].

        Parameters
        ----------
        features : Tensor
        index : sequence of int, optional
            The class of each image; by default the one that its neighbors vote for. Another class
            (ours) is represented by its own k nearest images.
        """
        unit = self._unit(features)
        chosen = self.vote(features).argmax(-1).tolist() if index is None else index
        weights = []
        for feature, label in zip(unit, chosen, strict=True):
            if index is None:
                _, nearest = self._neighbors(feature[None])
                near = nearest[0][self.labels[nearest[0]] == label]
            else:
                near = self._nearest_of(feature, label)
            product = (feature * self.features[near]).mean(0)
            low, high = product.min(), product.max()
            flat = torch.ones_like(product)
            weights.append((product - low) / (high - low) if high > low else flat)
        return torch.stack(weights)

    def target(self, label: int | str | None = None) -> TargetSpec:
        r"""What makes an image one of its class: its features, each dimension by its importance.

        The weights are those of the image as the model sees it, and then constant:
        :math:`y = \sum_d w_d f_d`, so that DAAM's channel weights are the authors'.

        Parameters
        ----------
        label : int or str, optional
            A class of the bank by index or name; by default the one that the neighbors vote for.

        Returns
        -------
        TargetSpec
            To be given as ``target``. :func:`~..explainers.daam` keeps the sign of the channels'
            weights for it, as the authors do.

        Raises
        ------
        TargetError
            If the bank has no such class; when it is used, if the model has a classifier.
        ParameterError
            When it is used, if the bank is of another model.
        """
        wanted = None if label is None else self._class_index(label)
        said = "the nearest class" if wanted is None else self.class_names[wanted]

        def bind(logits: Tensor, vit: VisionTransformer) -> Target:
            check_features(vit)
            self.fingerprint.check(vit, "This memory bank was made", "Fit one on yours.")
            features = logits.detach()
            voted = self.vote(features).argmax(-1).tolist()
            index = None if wanted is None else [wanted] * len(voted)
            weights = self.weights(features, index)
            names = dict.fromkeys(self.class_names[i] for i in (index or voted))

            def score(features: Tensor) -> Tensor:
                ours = whole(features)
                return (ours * weights.to(ours)).sum(-1)

            count = min(self.k, len(self))
            name = f"{', '.join(names)} (by {count} of {len(self)} images)"
            return Target(score, name, signed=True)

        return TargetSpec(f"{said} (by {min(self.k, len(self))} of {len(self)} images)", bind)

    def save(self, path: str | Path) -> None:
        """Write the bank as safetensors; see :meth:`load`."""
        bank_file.save(self, path)

    @classmethod
    def load(
        cls, path: str | Path, model: nn.Module | VisionTransformer | None = None
    ) -> MemoryBank:
        """Read a bank.

        Parameters
        ----------
        path : str or Path
        model : nn.Module, optional
            Check now that the bank is of this model; else it is checked when it is used.

        Raises
        ------
        ParameterError
            If the file holds no memory bank, or one of another model.
        """
        parts, extent, by_name = bank_file.load(path)
        with reading(path):
            bank = cls(**parts)
            (bank.error, bank.total, bank.ongoing), bank.skipped = extent
            bank._by_name = by_name
        if model is not None:
            bank.fingerprint.check(model, "This memory bank was made", "Fit one on yours.")
        return bank

    def _unit(self, features: Tensor) -> Tensor:
        if features.ndim != 2 or features.shape[1] != self.features.shape[1]:
            raise TargetError(
                f"The features are {list(features.shape)}, but those of the bank have "
                f"{self.features.shape[1]} dimensions: give [batch, {self.features.shape[1]}], of "
                "the same model."
            )
        return F.normalize(features.detach().cpu().float(), dim=-1)

    def _neighbors(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and indices of the k nearest images, [batch, k]."""
        return (unit @ self.features.T).topk(min(self.k, len(self)), dim=-1)

    def _nearest_of(self, one: Tensor, label: int) -> Tensor:
        members = (self.labels == label).nonzero()[:, 0]
        return members[(self.features[members] @ one).topk(min(self.k, len(members))).indices]

    def _class_index(self, label: int | str) -> int:
        names = self.class_names
        if isinstance(label, str):
            index = names.index(label) if label in names else -1
        else:
            index = label.__index__() if hasattr(label, "__index__") else -1
            index = -1 if isinstance(label, bool) else index
        if not 0 <= index < len(names) or not bool((self.labels == index).any()):
            some = ", ".join(map(repr, names[:5]))
            raise TargetError(
                f"The bank holds no image of a class {label!r}: it has {len(names)} classes, 0 to "
                f"{len(names) - 1}, such as {some}."
            )
        return index


def _of_batch(
    vit: VisionTransformer, report: Progress, batch: Batch, before: Remembered | None
) -> Iterator[Remembered]:
    yield remembered(vit, batch)
    report(1.0, "remembering images")
