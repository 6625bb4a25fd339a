"""The images of a set that can be read, when some cannot."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ..errors import ImageError
from ..models import VisionTransformer, describe
from ..support.warn import warn_caller
from .items import ImagesLike, each_item, listed
from .reader import has_one_each

__all__ = ["ReadableImages", "readable_images"]


class ReadableImages:
    """The images of a set that the model can read; the others are skipped.

    Can be passed wherever images are. Each time it is read it yields ``(model input [3, height,
    width], label)``, or the inputs alone where there are no labels.

    Attributes
    ----------
    dataset : image, list, array, tensor, data set or loader
        The whole set.
    skipped : dict of int to str
        Why an image was skipped, by its number in the set; complete once the set has been read.
    relabeled : bool
        Whether the labels are those that were given beside the set: classes of the model.
    """

    def __init__(self, vit: VisionTransformer, dataset: ImagesLike, target: object = None) -> None:
        self.dataset, self.skipped = dataset, dict[int, str]()
        self.relabeled = target is not None
        self._vit, self._target = vit, target

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, object]]:
        count = 0
        for item in each_item(self.dataset):
            if isinstance(item, ImageError):
                self.skipped[count] = str(item)
                count += 1
                continue
            for image, label in zip(item.images, item.labels or [None] * len(item), strict=True):
                label = self._label(count, label)
                try:
                    (prepared,) = self._vit.prepare([image])
                except ImageError as error:
                    self.skipped[count] = str(error)
                else:
                    yield prepared if label is None else (prepared, label)
                count += 1
        if self.skipped:
            first = next(iter(self.skipped))
            warn_caller(
                f"{len(self.skipped)} of {count} images are skipped, such as image {first}: "
                f"{self.skipped[first]} All are in `.skipped`."
            )

    def _label(self, number: int, label: object) -> object:
        if not has_one_each(self._target):
            return label if self._target is None else self._target
        labels = listed(self._target)
        return labels[number] if number < len(labels) else None


def readable_images(
    model: nn.Module | VisionTransformer, images: ImagesLike, target: object = None
) -> ReadableImages:
    """Leave out the images of a set that cannot be read.

    Otherwise an image that is damaged, missing, too large or not finite ends the computation with
    an error that names it.

    Parameters
    ----------
    model : nn.Module
        Its preprocessing decides what can be read.
    images : list, array, tensor, data set or loader
        What a generator or a loader itself raises ends them still: there is nothing to go on with.
    target : optional
        Of all images, or a list with one each, those that are skipped included; by default the
        labels that come with the images.

    Returns
    -------
    ReadableImages
        To be given in place of the images. ``.skipped`` says which were skipped, and why.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> scenes = [vaw.demo.scene(seed=1).image, "no such file.png", vaw.demo.scene(seed=2).image]
    >>> images = vaw.readable_images(model, scenes)
    >>> len(vaw.head_importance(model, images, metric="taylor"))
    2
    >>> list(images.skipped)
    [1]
    """
    return ReadableImages(describe(model), images, target)
