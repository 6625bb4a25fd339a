"""Images that a long run measures, by the folder that it fills, as far as that is by now."""

from __future__ import annotations

from ...errors import ParameterError
from ...overview.stored.images import StoredImages
from ...overview.stored.summary import Summary
from ...protocol.schema.results import StoredInfo
from ...support.progress import Progress
from ..context import Context
from ..stored_payloads import Box, heads_of, image_of, pictures_of, points_of
from .study import Study

__all__ = ["STORED_SLOT", "StoredImagesStudy"]

STORED_SLOT = "stored images"
"""Reading the folder, which goes on while other images are looked at."""

_GROWN = 1.02
"""What is shown of the images is sent again once there are so many times as many."""

_CLASSES = 1000
"""At most so many classes are listed, those of most images."""


class StoredImagesStudy(Study):
    """What a folder says of images; whoever shows it looks again and again while it fills."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._summaries: dict[str, Summary] = {}
        self._quantity, self._class = "", -1
        self._request: object = None  # the latest reading, while it is under way
        self._sent: tuple[str, int, object] | None = None  # what is shown: quantity, class, plane
        self._sent_images = 0
        self._skipped = set[int]()
        self._problem = self._misfit = ""
        self._describe()

    @property
    def summary(self) -> Summary | None:
        """What is known by the quantity that is shown; None until something was read."""
        summary = self._summaries.get(self._quantity)
        return summary if summary is not None and summary.count else None

    def check_model(self) -> None:
        """Another model is looked at, or the same one changed: take away what is of the former."""
        stored = self._context.stored
        if stored is None:
            return
        self._misfit = ""
        try:
            stored.check(self._context.vit)
        except ParameterError as error:
            self._misfit, self._sent = str(error), None
            self._traits._stored_heads = self._traits._stored_points = b""
        self._describe()

    def show(self, quantity: str, of_class: int = -1) -> None:
        """Read what the folder says by one quantity, and of one class by itself.

        Raises
        ------
        ParameterError
            If there is no store, or no such quantity in it.
        """
        stored = self._stored()
        if quantity not in stored.quantities:
            raise ParameterError(
                f"There is no {quantity} in {stored.folder}: choose one of "
                f"{', '.join(stored.quantities)}."
            )
        self._quantity, self._class = quantity, of_class
        self._read()

    def look(self) -> None:
        """Read what has come since the last look; nothing while a look is under way.

        Raises
        ------
        ParameterError
            If there is no store.
        """
        self._stored()
        if self._request is None:
            self._read()

    def points(self, box: Box) -> bytes:
        """Points within a part of the plane, as many as are drawn."""
        summary = self._read_already()
        return points_of(summary, box)

    def image(self, index: int) -> bytes:
        """What the folder says of one image."""
        return image_of(self._stored(), self._read_already().quantity, index)

    def pictures(self, images: list[int]) -> bytes:
        """Small pictures of those images whose files are there."""
        return pictures_of(self._stored(), images)

    def _stored(self) -> StoredImages:
        stored = self._context.stored
        if stored is None:
            raise ParameterError(
                "There is no store: give the session image_set='folder', which "
                "head_importance(..., store='folder') fills."
            )
        return stored

    def _read_already(self) -> Summary:
        summary = self.summary
        if summary is None:
            raise ParameterError("Nothing was read of the store yet: ask again later.")
        return summary

    def _read(self) -> None:
        context, stored, request = self._context, self._stored(), object()
        self._request = request

        def work(progress: Progress) -> str:
            try:
                self._update(stored, progress, request)
            except ParameterError as error:  # what was read before stands
                return str(error)
            return ""

        def done(problem: str) -> None:
            self._problem = problem
            self._describe()
            ended()

        def ended() -> None:
            if self._request is request:
                self._request = None

        context.do(
            context.lanes.reading, STORED_SLOT, "", work, done,
            still=lambda: context.stored is stored, dropped=ended,
        )  # fmt: skip

    def _update(self, stored: StoredImages, progress: Progress, request: object) -> None:
        """Read what is new, and show it if it is enough; called in the lane."""
        stored.look()
        if not self._skipped <= set(stored.skipped):  # some were computed after all
            self._summaries.clear()
        self._skipped = set(stored.skipped)
        if self._misfit or not stored.quantities:
            return
        if self._quantity not in stored.quantities:
            self._quantity = stored.quantities[0]
        summary = self._summaries.setdefault(self._quantity, Summary(stored, self._quantity))
        try:
            summary.update(progress)
        finally:
            key = (summary.quantity, self._class, summary.plane)
            more = summary.count > self._sent_images
            enough = summary.count >= _GROWN * self._sent_images or not stored.rate
            if summary.count and (key != self._sent or (more and enough)):
                self._publish(summary, progress, request)

    def _publish(self, summary: Summary, progress: Progress, request: object) -> None:
        of_class = self._class
        heads, points = heads_of(summary, of_class, progress), points_of(summary)
        with self._context.lock:
            if self._request is request and not self._misfit:
                self._sent = summary.quantity, of_class, summary.plane
                self._sent_images = summary.count
                self._traits._stored_heads, self._traits._stored_points = heads, points

    def _describe(self) -> None:
        stored, summary = self._context.stored, self.summary
        if stored is None:
            return
        classes = [] if summary is None or summary.by_class is None else summary.by_class.counts()
        info: StoredInfo = {
            "folder": str(stored.folder),
            "function": stored.function,
            "options": stored.options,
            "count": len(stored),
            "total": stored.total,
            "rate": round(stored.rate, 3),
            "last": round(stored.last),
            "quantities": stored.quantities,
            "quantity": self._quantity,
            "of_class": self._class,
            "read": 0 if summary is None else summary.count,
            "skipped": len(stored.skipped),
            "has_files": stored.has_files,
            "classes": classes[:_CLASSES],
            "classes_in_all": len(classes),
            "problem": self._misfit or self._problem,
        }
        self._traits._stored = info
