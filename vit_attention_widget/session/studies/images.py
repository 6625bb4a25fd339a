"""What a session shows of its set of images: all of them at a glance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...errors import ParameterError
from ...importance.metrics import OLD_METRICS, Metric
from ...overview.run import ImageOverview, image_overview_steps
from ...protocol.tensors import encode
from ...support.deprecation import renamed_choice
from ...support.progress import Progress
from ..computation import image_name
from ..lanes import Job, Lane
from ..payloads import picture_bytes
from ..selections import IMAGE_METRICS
from ..work import no_result
from .strength import StrengthStudy

__all__ = ["IMAGES_SLOT", "ImageStudy", "names_of"]

IMAGES_SLOT = "images"
"""Work on the whole set, which goes on while other images are looked at."""

_EVERY = 0.3
"""What is known so far is shown at most this often, in seconds."""

_THUMBNAILS, _SIDE, _BYTES = 400, 48, 600_000
"""At most so many thumbnails, of so many pixels a side, of so many bytes together."""


class ImageStudy(StrengthStudy):
    """All images of the set, which are laid out when that is asked for."""

    _given: Any = None  # the set as it was given
    _image_overview: ImageOverview | None = None
    _asked: object = None  # the latest request to lay out

    @property
    def image_overview(self) -> ImageOverview | None:
        """The images as they were laid out last; None until then."""
        return self._image_overview

    def _forget_images(self) -> None:
        """Another model sees other images, and its heads matter for others."""
        self._image_overview = self._asked = None
        self._overview, self._thumbnails = {}, b""

    def show_images(self) -> None:
        """Show all images of the set, in order.

        Raises
        ------
        ParameterError
            If the session was given no ``image_set``.
        """
        images = self._the_set()
        with self._lock:
            if self._overview:
                return
            labels = [label for _, label in images]
            self._overview = {
                "total": len(images),
                "names": names_of(self._given, len(images)),
                "labels": labels if self._has_labels else None,
                "predicted": [],
                "probability": [],
                "points": [],
                "layout": "in order",
                "metric": "",
                "measuring": "",
                "done": 0,
            }

        def show(found: bytes) -> None:
            self._thumbnails = found

        def work(progress: Progress) -> bytes:
            return _thumbnails([image for image, _ in images], self._pictures, progress)

        if len(images) <= _THUMBNAILS:
            self._of_the_set(self._quick, "reading the images", work, show)

    def lay_out_images(self, metric: Metric = "probability") -> None:
        """Lay the images out by what the heads of the whole model do for each.

        Parameters
        ----------
        metric : str
            One of the metrics of head importance; ``"taylor"`` is an estimate and fast.

        Raises
        ------
        ParameterError
            If there is no such metric, no set of images, or no class that a head could matter for.
        """
        metric = renamed_choice("metric", metric, OLD_METRICS)
        if metric not in IMAGE_METRICS:
            raise ParameterError(
                f"The metric is {metric!r}: choose one of {', '.join(IMAGE_METRICS)}."
            )
        images, asked = self._the_set(), object()
        vit = self._vit
        if vit.num_classes == 0:
            raise ParameterError(
                f"{vit.name} has no classes, so no head matters for a decision: look at a "
                "model with a classifier."
            )
        self.show_images()
        with self._lock:
            self._asked = asked
            self._overview = {**self._overview, "measuring": metric, "done": 0}

        def publish(found: ImageOverview, laid_out: bool) -> None:
            with self._lock:
                if self._asked is asked:
                    self._overview = {**self._overview, **_as_dict(found, laid_out)}

        def work(progress: Progress) -> ImageOverview:
            shown, found = time.monotonic(), None
            for found in image_overview_steps(vit, images, metric=metric, progress=progress):
                if found.layout == "in order" and time.monotonic() - shown > _EVERY:
                    shown = time.monotonic()
                    publish(found, False)
            assert found is not None
            return found

        def show(found: ImageOverview) -> None:
            if self._asked is asked:
                self._image_overview = found
                publish(found, True)

        def stopped() -> None:
            with self._lock:
                if self._asked is asked:  # else another request has its own say
                    self._asked = None
                    self._overview = {**self._overview, "measuring": "", "done": 0}

        self._of_the_set(self._longest, "weighing heads", work, show, stopped)

    def picture_of(self, index: int) -> bytes:
        """An image of the set as a JPEG of what the model sees."""
        (picture,) = self._pictures(self._the_set()[index][0][None])
        return picture_bytes(picture)

    def _the_set(self) -> list[tuple[Tensor, int | None]]:
        if self._image_set is None:
            raise ParameterError("There is no set of images: give the session image_set=[...].")
        return self._image_set

    def _pictures(self, inputs: Tensor) -> list[Image.Image]:
        return self._vit.picture(inputs)

    def _of_the_set(
        self,
        lane: Lane,
        label: str,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None] = no_result,
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        """Like ``_do``, for what stays true while another image is looked at."""
        images = self._image_set

        def finish(result: Any) -> None:
            with self._lock:
                if self._image_set is images:
                    self._error = None
                    done(result)

        def failed(error: BaseException) -> None:
            stopped()
            with self._lock:
                if self._image_set is images:
                    self._failed(error)

        lane.submit(Job(IMAGES_SLOT, label, work, finish, failed, stopped))


def _as_dict(found: ImageOverview, laid_out: bool) -> dict[str, Any]:
    known = {
        "predicted": found.predicted.tolist(),
        "probability": [round(p, 4) for p in found.probability.tolist()],
        "done": len(found),
    }
    if not laid_out:  # the layout that was there before stays in view
        return known
    return {
        **known,
        "points": [[round(x, 4), round(y, 4)] for x, y in found.points.tolist()],
        "layout": found.layout,
        "metric": found.importance.metric,
        "measuring": "",
    }


def names_of(given: Any, total: int) -> list[str]:
    """File names of the images as they were given, "" where one has none; [] without any."""
    if not isinstance(given, list | tuple) or len(given) != total:
        return []
    names = []
    for item in given:
        image = item.get("image") if isinstance(item, Mapping) else item
        image = image[0] if isinstance(image, tuple) else image
        name = image_name(image)
        names.append("" if name == "image" else name)
    return names if any(names) else []


def _thumbnails(
    images: list[Tensor],
    pictures: Callable[[Tensor], list[Image.Image]],
    progress: Progress,
) -> bytes:
    """Small pictures of one size, as large as their number allows."""
    height, width = images[0].shape[-2:]
    shape = max(height, width)
    pixels = min(_SIDE**2 * height * width / shape**2, _BYTES / 3 / len(images))
    side = math.sqrt(pixels / (height * width))
    h, w = (max(1, int(side * length + 1e-6)) for length in (height, width))
    small: NDArray[np.uint8] = np.empty((len(images), h, w, 3), np.uint8)
    for i, image in enumerate(images):
        progress(i / len(images), "reading the images")
        (picture,) = pictures(image[None])
        small[i] = np.asarray(picture.resize((w, h), Image.Resampling.LANCZOS, reducing_gap=2.0))
    return encode({"thumbnails": small})
