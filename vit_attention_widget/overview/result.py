"""Images as points of the plane: numbers, tables, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from ..importance.result import HeadImportance
from ..results.drawing import axes_or_new
from ..results.named_values import NamedValues, Variable
from ..results.rows import rows_of
from ..results.storage import JsonObject
from ..results.unfinished import Unfinished

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImageOverview", "Layout"]

Layout = Literal["t-SNE", "principal components", "in order"]

_OF_IMPORTANCE = "importance "


@dataclass(frozen=True, eq=False)
class ImageOverview(Unfinished, NamedValues):
    """Images as points of the plane, and what they were laid out by.

    Attributes
    ----------
    points : Tensor
        [image, coordinate], x and y within [-1, 1]. Also ``.values``.
    importance : HeadImportance
        Of the image's own class: its label, or else the predicted one.
    labels : Tensor or None
        [image], the class that came with each image; None where none came.
    predicted : Tensor
        [image], the class that the model gives it.
    probability : Tensor
        [image], the probability of that class; of a model of values the value.
    layout : {"t-SNE", "principal components", "in order"}
        What the points say. In order is a grid: while images are still being measured, and where
        there is nothing that tells them apart.
    """

    kind = "image overview"
    axes = ("image", "coordinate")
    table_axes = ("image",)

    points: Tensor = field(repr=False)
    importance: HeadImportance = field(repr=False)
    labels: Tensor | None = field(repr=False)
    predicted: Tensor = field(repr=False)
    probability: Tensor = field(repr=False)
    layout: Layout

    @property
    def values(self) -> Tensor:
        """[image, coordinate]: :attr:`points`."""
        return self.points

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        about = f"{len(self)} images by {self.importance.metric}, laid out by {self.layout}"
        return f"ImageOverview({about}{self._shortfall()})"

    @property
    def error(self) -> Exception | None:  # type: ignore[override]
        """What ended the computation early; the images before are here."""
        return self.importance.error

    @property
    def total(self) -> int | None:  # type: ignore[override]
        """Number of images that were to be measured, where that is known."""
        return self.importance.total

    @property
    def ongoing(self) -> bool:  # type: ignore[override]
        """Whether more images may come."""
        return self.importance.ongoing

    @property
    def skipped(self) -> Mapping[int, str]:  # type: ignore[override]
        """Why an image of the set is not among these, by its number in the set."""
        return self.importance.skipped

    @property
    def done(self) -> int:
        """Number of images."""
        return len(self)

    def _stopped(self, error: Exception) -> ImageOverview:
        return replace(self, importance=self.importance._stopped(error))

    def _ended(self) -> ImageOverview:
        return replace(self, importance=self.importance._ended())

    def _so_far(
        self, total: int | None, ongoing: bool, skipped: Mapping[int, str]
    ) -> ImageOverview:
        return replace(self, importance=self.importance._so_far(total, ongoing, skipped))

    def plot(self, ax: Axes | None = None) -> Axes:
        """A point for each image, in the color of its label, or else of the predicted class.

        Needs matplotlib.
        """
        axes = axes_or_new(ax)
        classes = self.predicted if self.labels is None else self.labels
        x, y = self.points.T.tolist()
        axes.scatter(x, y, c=classes.tolist(), cmap="tab20", s=18)
        axes.set(title=f"{self._title()}: {self.layout}", xticks=[], yticks=[], aspect="equal")
        return axes

    # What the shared tables and files are made of -------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        x, y = self.points.unbind(-1)
        by_image = {"x": x, "y": y, "predicted": self.predicted, "probability": self.probability}
        if self.labels is not None:
            by_image["label"] = self.labels
        return {name: Variable(("image",), values) for name, values in by_image.items()}

    def _stored(self) -> Mapping[str, Variable]:
        """Places in a layout are of all images together."""
        variables = {n: v for n, v in self._variables().items() if n not in ("x", "y")}
        return {**self.importance._variables(), **variables}

    def _coords(self) -> Mapping[str, Sequence[object]]:
        return {"coordinate": ("x", "y")}

    def _title(self) -> str:
        return f"{len(self)} images by {self.importance.metric}{self._shortfall()}"

    def _images(self, first: int, last: int) -> ImageOverview:
        return rows_of(self, first, last)

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors, about = self.importance._to_parts()
        tensors = {_OF_IMPORTANCE + name: values for name, values in tensors.items()}
        tensors |= {
            "points": self.points, "predicted": self.predicted, "probability": self.probability,
        }  # fmt: skip
        if self.labels is not None:
            tensors["labels"] = self.labels
        return tensors, {"importance": about, "layout": self.layout}

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> ImageOverview:
        of_importance = {
            name.removeprefix(_OF_IMPORTANCE): values
            for name, values in tensors.items()
            if name.startswith(_OF_IMPORTANCE)
        }
        return cls(
            tensors["points"],
            HeadImportance._from_parts(of_importance, about["importance"]),
            tensors.get("labels"),
            tensors["predicted"],
            tensors["probability"],
            about["layout"],
        )
