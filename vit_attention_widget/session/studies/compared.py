"""What is asked of a comparison, and what was compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from ...comparison.result import Comparison
from ...models import VisionTransformer
from ...protocol.schema.results import Compared as Kind
from ...tracing.trace import Trace
from ..image_set import ImageSet

__all__ = ["KINDS", "Compared", "Request", "SetKey"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""In what the maps of a comparison may differ."""

SetKey = tuple[VisionTransformer, ImageSet, str, tuple[tuple[int, int], ...]]
"""Model, images, method and pruned heads: what a comparison over the image set depends on."""


@dataclass(frozen=True, eq=False)
class Request:
    """A request to compare; the latest one counts.

    Attributes
    ----------
    kind : str
        In what the maps differ, one of ``KINDS``.
    method : str
    classes : tuple of int
        Classes beside the likely ones.
    set_key : tuple or None
        Of the image set, what the maps will depend on.
    """

    kind: Kind
    method: str
    classes: tuple[int, ...]
    set_key: SetKey | None = None


@dataclass(frozen=True, eq=False)
class Compared:
    """What was compared, what a click on each map selects, and what stands below it.

    Attributes
    ----------
    comparison : Comparison
    names, notes : sequence of str
        Above and below each map.
    keys : sequence
        What a click on each map selects: a method, class, layer, image or model.
    version : int
        Of the trace.
    trace : Trace or None
        The trace that it is of while that is shown; over the image set there is none, and
        ``set_key`` stands for it.
    files : sequence of str
        File names, over the image set.
    """

    comparison: Comparison
    names: Sequence[str]
    keys: Sequence[str | int]
    notes: Sequence[str]
    version: int
    trace: Trace | None = None
    set_key: SetKey | None = None
    files: Sequence[str] = ()
