"""The patterns of attention that heads have learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...models import VisionTransformer
from ...patterns import (
    AttentionPatterns,
    FamilyName,
    PatternFamily,
    PlacedHeads,
    check_pattern_libraries,
)
from ...protocol.schema.results import FamilyInfo
from ...protocol.schema.tensors import PatternMap, PatternPictures, PatternsHere
from ...protocol.tensors import encode, quantize
from ...support.progress import Progress
from ...tracing.trace import Trace
from .study import Study

__all__ = ["PATTERNS_SLOT", "PatternStudy"]

PATTERNS_SLOT = "patterns"

_Placement = tuple[Trace, AttentionPatterns, dict[FamilyName, PlacedHeads]]


class PatternStudy(Study):
    """A map of attention patterns, and where the heads of the image lie on it.

    Bulk (the points of a map, thumbnails) is asked for; traits say what there is.
    """

    _patterns: AttentionPatterns | None = None

    def reset(self) -> None:
        self._placed: dict[FamilyName, PlacedHeads] | None = None
        self._traits._patterns_here = b""
        if self._patterns is not None and not _is_of(self._patterns, self._context.vit):
            self.patterns = None  # another model's

    @property
    def patterns(self) -> AttentionPatterns | None:
        """The map; None until one was learned or given."""
        return self._patterns

    @patterns.setter
    def patterns(self, patterns: AttentionPatterns | None) -> None:
        context, traits = self._context, self._traits
        if patterns is not None:
            patterns.check(context.vit)
        with context.lock:
            self._patterns, self._placed, traits._patterns_here = patterns, None, b""
            version = traits._patterns_info.get("version", 0) + 1
            families: dict[str, FamilyInfo] = {name: _described(f) for name, f in patterns or ()}
            traits._patterns_info = {"version": version, "families": families}

    def learn(self) -> None:
        """Learn the patterns of all heads over the set of images, or over the image without one.

        Raises
        ------
        ParameterError
            If the libraries that this needs are not installed.
        """
        check_pattern_libraries()
        context = self._context
        vit, images = context.vit, context.image_set
        inputs = [context.subject.inputs] if images is None else images.inputs

        def work(progress: Progress) -> None:
            patterns = AttentionPatterns().fit(vit, inputs, progress=progress)
            if patterns.error is not None:
                raise patterns.error
            with context.lock:
                if context.vit.model is not vit.model:  # another image does not matter
                    return
                self.patterns = patterns
            self.place_heads()

        context.do(context.lanes.longest, PATTERNS_SLOT, "learning patterns", work)

    def place_heads(self) -> None:
        """Place the heads of the image as it is shown on the map."""
        context = self._context

        def work(_: Progress) -> _Placement | None:
            shown, patterns = context.shown(), self._patterns
            return None if patterns is None else (shown, patterns, patterns.place(shown))

        def show(placement: _Placement | None) -> None:
            if placement is None:
                return
            shown, patterns, placed = placement
            if context.trace is shown and self._patterns is patterns:
                self._placed, self._traits._patterns_here = placed, _encoded(placed)

        context.do(context.lanes.quick, "place heads", "", work, show)

    # Bulk, on request ----------------------------------------------------------------------------

    def points(self, name: FamilyName) -> bytes:
        """All points of a map as they go to the browser.

        Heads come image by image in the same order, so their numbers need not be sent.
        """
        family = self._family(name)
        patterns = np.stack([cluster.pattern for cluster in family.clusters])
        tensors: PatternMap = {
            "points": family.embedding.astype(np.float16),
            "labels": family.labels.astype(np.uint8),
            "distances": family.distances().astype(np.float16),
            "pictures": _pictures(patterns)["pictures"],
        }
        return encode(tensors)

    def thumbnails(self, name: FamilyName) -> bytes:
        """Attention of every head on the image as it is shown, as pictures."""
        placed = self._placed
        if placed is None or name not in placed:
            raise ParameterError("The heads of this image are not on the map yet: ask again later.")
        return encode(_pictures(placed[name].patterns))

    def point(self, name: FamilyName, index: int) -> bytes:
        """The pattern that one point of a map stands for, decoded from its code, as a picture."""
        family = self._family(name)
        if not 0 <= index < len(family):
            raise ParameterError(f"There is no point {index}: the map has {len(family)}.")
        return encode(_pictures(family.decoded(family.codes[index : index + 1])))

    def _family(self, name: FamilyName) -> PatternFamily:
        if self._patterns is None:
            raise ParameterError("There are no patterns yet: learn them first.")
        return self._patterns.family(name)


def _is_of(patterns: AttentionPatterns, vit: VisionTransformer) -> bool:
    try:
        patterns.check(vit)
    except ParameterError:
        return False
    return True


def _described(family: PatternFamily) -> FamilyInfo:
    return {
        "points": len(family),
        "images": len(np.unique(family.heads[:, 0])),
        "error": family.reconstruction_error,
        "pca_error": family.pca_error,
        "stability": None if np.isnan(family.stability) else family.stability,
        "clusters": [
            {"name": c.name, "size": c.size, "scores": c.scores, "layers": list(c.layers.items())}
            for c in family.clusters
        ],
    }


def _encoded(placed: dict[FamilyName, PlacedHeads]) -> bytes:
    tensors: PatternsHere = {}
    if "patches" in placed:
        tensors["patches_points"] = placed["patches"].points.astype(np.float32)
        tensors["patches_labels"] = placed["patches"].labels.astype(np.uint8)
    if "class" in placed:
        tensors["class_points"] = placed["class"].points.astype(np.float32)
        tensors["class_labels"] = placed["class"].labels.astype(np.uint8)
    return encode(tensors)


def _pictures(patterns: NDArray[np.float32]) -> PatternPictures:
    """Pictures [n, height, width] in 8 bits, each square part relative to its own maximum."""
    count, height, width = patterns.shape
    parts = patterns.reshape(count, height, width // height, height).swapaxes(1, 2)
    levels, _ = quantize(parts.reshape(count, width // height, -1))
    return {"pictures": levels.reshape(parts.shape).swapaxes(1, 2).reshape(patterns.shape)}
