"""Accuracy on the labeled images of the set, with and without the pruned heads."""

from __future__ import annotations

from torch import Tensor

from ...protocol.schema.results import Accuracy
from ...pruning.accuracy_result import Accuracy as ShareOfImages
from ...pruning.top1 import accuracy
from ...support.progress import Progress
from .study import Study

__all__ = ["AccuracyStudy"]


class AccuracyStudy(Study):
    """Counted anew for every trace; that of the whole model is kept."""

    def reset(self) -> None:
        self._whole: float | None = None
        self._traits.accuracy = {}

    def follow_trace(self) -> None:
        context = self._context
        images = None if context.image_set is None else context.image_set.with_truth
        if images is None:
            return
        traits = self._traits
        traits.accuracy = {**traits.accuracy, "after": None} if traits.accuracy else {}
        context.do(
            context.lanes.long, "accuracy", "counting", lambda p: self._count(images, p), self._show
        )

    def _count(
        self, images: list[tuple[Tensor, int | Tensor | None]], progress: Progress
    ) -> Accuracy:
        vit, heads = self._context.vit, self._traits.pruned_heads
        if self._whole is None:
            self._whole = _of_all(accuracy(vit, images, progress=progress))
        after = None
        if heads:
            after = _of_all(accuracy(vit, images, head_mask=heads, progress=progress))
        return {"before": self._whole, "after": after, "count": len(images)}

    def _show(self, accuracy: Accuracy) -> None:
        self._traits.accuracy = accuracy


def _of_all(share: ShareOfImages) -> float:
    """The share of all images, or else the error that ended it."""
    if share.error is not None:
        raise share.error
    return float(share)
