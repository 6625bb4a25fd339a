"""All images of the set at a glance, laid out by which heads matter for them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...errors import ParameterError
from ...importance.metrics import OLD_METRICS, Metric
from ...overview.result import ImageOverview
from ...overview.run import image_overview_steps
from ...protocol.schema.results import Overview
from ...protocol.schema.tensors import Thumbnails
from ...protocol.tensors import encode
from ...support.deprecation import renamed_choice
from ...support.progress import Progress
from ..context import Context
from ..lanes import Lane
from ..payloads import picture_bytes
from ..selections import IMAGE_METRICS
from ..stepwise import Stepwise
from .study import Study

__all__ = ["IMAGES_SLOT", "ImageStudy"]

Result = TypeVar("Result")

IMAGES_SLOT = "images"
"""Work on the whole set, which goes on while other images are looked at."""

_EVERY = 0.3
"""What is known so far is shown at most this often, in seconds."""

_THUMBNAILS, _SIDE, _BYTES = 400, 48, 600_000
"""At most so many thumbnails, of so many pixels a side, of so many bytes together."""


class ImageStudy(Study):
    """All images of the set, which are laid out when that is asked for."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.overview: ImageOverview | None = None
        self._request: object = None  # the latest one to lay out

    def forget(self) -> None:
        """Another model, or other classes: its heads matter for other images."""
        self.overview = self._request = None
        self._traits._overview, self._traits._thumbnails = {}, b""

    def show(self) -> None:
        """Show all images of the set, in order.

        Raises
        ------
        ParameterError
            If there is no image set.
        """
        context, traits = self._context, self._traits
        images = context.images()
        with context.lock:
            if traits._overview:
                return
            traits._overview = {
                "total": len(images),
                "names": images.names,
                "labels": images.labels,
                "predicted": [],
                "probability": [],
                "points": [],
                "layout": "in order",
                "metric": "",
                "measuring": "",
                "done": 0,
            }

        def take(thumbnails: bytes) -> None:
            traits._thumbnails = thumbnails

        def work(progress: Progress) -> bytes:
            return _thumbnails(images.inputs, context.vit.picture, progress)

        if len(images) <= _THUMBNAILS:
            self._do(context.lanes.quick, "reading the images", work, take)

    def lay_out(self, metric: Metric, _unfinished: _Layout | None = None) -> None:
        """Lay the images out by what the heads of the whole model do for each.

        Raises
        ------
        ParameterError
            If there is no such metric, no image set, or no class that a head could matter for.
        """
        metric = renamed_choice("metric", metric, OLD_METRICS)
        if metric not in IMAGE_METRICS:
            raise ParameterError(
                f"The metric is {metric!r}: choose one of {', '.join(IMAGE_METRICS)}."
            )
        context, traits = self._context, self._traits
        images, request, vit = context.images(), object(), context.vit
        if not vit.has_classes:
            raise ParameterError(
                f"{vit.name} has no classes, so no head matters for a decision: look at a "
                "model with a classifier."
            )
        self.show()
        with context.lock:
            self._request = request
            traits._overview = {**traits._overview, "measuring": metric, "done": 0}

        layout = _unfinished or _Layout(
            lambda report, start: image_overview_steps(
                vit, images.entries, metric=metric, start=start, progress=report
            )
        )

        def publish(overview: ImageOverview, laid_out: bool) -> None:
            with context.lock:
                if self._request is request:
                    traits._overview = _updated(traits._overview, overview, laid_out)

        layout.publish = lambda overview: publish(overview, False)

        def take(_: None) -> None:
            if self._request is request and layout.latest is not None:
                self.overview = layout.latest
                publish(layout.latest, True)

        def says() -> str:
            return f"{len(layout.latest or ())} of {len(images)} images"

        def dropped() -> None:
            if self._request is request:  # else another request has its own say
                self._request = None
                traits._overview = {**traits._overview, "measuring": "", "done": 0}

        self._do(
            context.lanes.longest, "weighing heads", layout, take, dropped,
            says=says, go_on=lambda: self.lay_out(metric, layout),
        )  # fmt: skip

    def picture(self, index: int) -> bytes:
        """An image of the set as a JPEG of what the model sees."""
        vit, image = self._context.vit, self._context.as_input(index)
        (picture,) = vit.picture(vit.prepare(image))
        return picture_bytes(picture)

    def _do(
        self,
        lane: Lane,
        label: str,
        work: Callable[[Progress], Result],
        take: Callable[[Result], None],
        dropped: Callable[[], None] = lambda: None,
        *,
        says: Callable[[], str] | None = None,
        go_on: Callable[[], None] | None = None,
    ) -> None:
        """Compute what stays true while another image is looked at."""
        context = self._context
        images = context.image_set
        context.do(
            lane, IMAGES_SLOT, label, work, take,
            still=lambda: context.image_set is images, dropped=dropped, says=says, go_on=go_on,
        )  # fmt: skip


class _Layout(Stepwise[ImageOverview]):
    """Images that are being laid out; what is known so far is published now and then."""

    def __init__(
        self, steps: Callable[[Progress, ImageOverview | None], Iterator[ImageOverview]]
    ) -> None:
        self.publish: Callable[[ImageOverview], None] = lambda _: None
        self._shown_at = time.monotonic()
        super().__init__(steps, self._now_and_then)

    def _now_and_then(self, overview: ImageOverview) -> None:
        if overview.layout == "in order" and time.monotonic() - self._shown_at > _EVERY:
            self._shown_at = time.monotonic()
            self.publish(overview)


def _updated(shown: Overview, overview: ImageOverview, laid_out: bool) -> Overview:
    """What is known by now; until it is laid out, the layout that was there stays in view."""
    told: Overview = {
        **shown,
        "predicted": overview.predicted.tolist(),
        "probability": [round(p, 4) for p in overview.probability.tolist()],
        "done": len(overview),
    }
    if not laid_out:
        return told
    return {
        **told,
        "points": [(round(x, 4), round(y, 4)) for x, y in overview.points.tolist()],
        "layout": overview.layout,
        "metric": overview.importance.metric,
        "measuring": "",
    }


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
    tensors: Thumbnails = {"thumbnails": small}
    return encode(tensors)
