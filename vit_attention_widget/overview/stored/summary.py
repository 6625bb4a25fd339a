"""What is said of all images of a folder by one quantity, brought up to date as it fills."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...support.progress import Progress
from .by_class import ByClass
from .histogram import Histogram
from .images import StoredImages
from .moments import Moments, Plane, rooted

__all__ = ["Summary"]

_GROWN = 1.5
"""The plane is laid anew once there are so many times the images that it was laid by."""

Floats = NDArray[np.float32]


class Summary:
    """One quantity of all images: by head, by class, and as points of a plane.

    Files are read once as they come, and once more each time the plane is laid anew: all in all
    about three times, however often this is brought up to date. Held are sums, and eight bytes and
    a class for each image.

    Parameters
    ----------
    images : StoredImages
    quantity : str

    Attributes
    ----------
    count : int
        Images that it is of.
    plane : Plane or None
    histogram : Histogram
    by_class : ByClass or None
    """

    histogram: Histogram

    def __init__(self, images: StoredImages, quantity: str) -> None:
        self._images, self.quantity = images, quantity
        self.count = 0
        self.plane: Plane | None = None
        self._laid = 0  # images that the plane was laid by
        self._places: Floats = np.zeros((0, 2), np.float32)
        self._classes = np.zeros(0, np.int64)
        self.by_class: ByClass | None = None
        self._shape: tuple[int, ...] = (0,)

    def update(self, progress: Progress) -> None:
        """Read what is new.

        Raises
        ------
        ParameterError
            If a file is damaged or gone; what was read before stays.
        """
        before, until = self.count, len(self._images)
        if until <= before:
            return
        try:
            for first, values in self._images.values(self.quantity, before, until):
                progress((first - before) / (until - before), "reading the store")
                self._add(first, values)
        finally:
            if self.count >= _GROWN * max(1, self._laid) or self.count == self._images.total:
                self._lay(progress)

    def _lay(self, progress: Progress) -> None:
        """Lay out all images that were read by a plane of their own."""
        plane, places = self._moments.plane(self.plane), np.zeros((self.count, 2), np.float32)
        for first, values in self._images.values(self.quantity, 0, self.count):
            progress(first / self.count, "laying the images out")
            places[first : first + len(values)] = _places(plane, values)
        self.plane, self._laid, self._places = plane, self.count, places

    def _add(self, first: int, values: Floats) -> None:
        if self.by_class is None:
            self._shape = values.shape[1:]
            dim = int(np.prod(self._shape))
            self.by_class, self._moments, self.histogram = (
                ByClass(dim),
                Moments(dim),
                Histogram(dim),
            )
        classes = self._images.classes(first, first + len(values))
        there, roots = _there(values), rooted(values)
        computed = there.any(1)  # all but those that were skipped
        self._moments.add(roots[computed])
        self.histogram.add(roots[computed], there[computed])
        self.by_class.add(values.reshape(len(values), -1)[computed], classes[computed])
        self._classes = np.concatenate([self._classes, classes])  # first: others read meanwhile
        if self.plane is not None:
            self._places = np.concatenate([self._places, _places(self.plane, values)])
        self.count = first + len(values)

    def mean(self, of_class: int | None = None) -> Floats:
        """Mean over all images or those of a class, [layer, head]; NaN where there is none."""
        mean = np.zeros(0) if self.by_class is None else self.by_class.mean(of_class)
        return np.asarray(mean.reshape(self._shape), np.float32)

    def points(self) -> tuple[Floats, NDArray[np.int64]]:
        """Places [image, 2], NaN of those skipped; the class of each, -1 where none is known."""
        places = self._places
        return places, self._classes[: len(places)]

    def histogram_of_class(self, of_class: int, progress: Progress) -> NDArray[np.int64]:
        """Counts [head, bin] of a class's images, in the used bins of :attr:`histogram`.

        Reads the chunks in which there are any.
        """
        counted = Histogram(len(self.histogram.counts))
        counted.reach = self.histogram.reach
        for first, values in self._images.values(self.quantity, 0, self.count):
            progress(first / self.count, "reading the images of a class")
            ours = self._classes[first : first + len(values)] == of_class
            if ours.any():
                counted.add(rooted(values[ours]), _there(values[ours]))
        return counted.counts[:, self.histogram.filled()]


def _places(plane: Plane, values: Floats) -> Floats:
    """Points [image, 2]; NaN for images that were skipped."""
    places = plane.places(rooted(values))
    places[~_there(values).any(1)] = np.nan
    return places


def _there(values: Floats) -> NDArray[np.bool_]:
    there: NDArray[np.bool_] = np.isfinite(values.reshape(len(values), -1))
    return there
