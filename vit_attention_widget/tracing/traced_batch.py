"""Traces of a batch of images, in halves where memory is short."""

from __future__ import annotations

from collections.abc import Iterator

from ..data.reader import Batch
from ..models import VisionTransformer
from ..models.head_index import HeadsLike
from ..support.progress import Progress, no_progress
from .memory import is_out_of_memory, release
from .run import trace
from .trace import Trace

__all__ = ["traced_batch"]


def traced_batch(
    vit: VisionTransformer,
    batch: Batch,
    *,
    head_mask: HeadsLike | None = None,
    gradients: bool = True,
    progress: Progress = no_progress,
) -> Iterator[tuple[Trace, Batch]]:
    """Trace all images of a batch at once, or as many as memory allows.

    Parameters
    ----------
    vit : VisionTransformer
    batch : Batch
    head_mask, gradients, progress
        As for :func:`~vit_attention_widget.trace`.

    Yields
    ------
    trace : Trace
    part : Batch
        The images that were traced: the batch, or a part of it.

    Raises
    ------
    RuntimeError
        If memory does not suffice for a single image.
    """
    try:
        together = trace(
            vit, *batch.prepared(vit), head_mask=head_mask, gradients=gradients, progress=progress
        )
    except RuntimeError as error:
        halves = batch.halves()
        if not is_out_of_memory(error) or halves is None:
            raise
    else:
        yield together, batch
        return
    release(vit.device)
    for half in halves:
        yield from traced_batch(
            vit, half, head_mask=head_mask, gradients=gradients, progress=progress
        )
