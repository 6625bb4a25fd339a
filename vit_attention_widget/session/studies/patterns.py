"""What a session finds out about the patterns that heads have learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ParameterError
from ...patterns import AttentionPatterns, PatternFamily, Placed
from ...protocol.tensors import encode, quantise
from ...support.progress import Progress
from ...tracing.trace import Trace
from ..work import no_result
from .strength import StrengthStudy

__all__ = ["PATTERNS_SLOT", "PatternStudy"]

PATTERNS_SLOT = "patterns"


class PatternStudy(StrengthStudy):
    """A map of attention patterns, and where the heads of the image lie on it.

    Bulk (the points of a map, thumbnails) is asked for; traits say what there is.
    """

    _patterns: AttentionPatterns | None = None
    _placed: dict[str, Placed] | None = None

    def _reset_results(self) -> None:
        super()._reset_results()
        self._placed, self._patterns_here = None, b""
        if self._patterns is not None and not _is_of(self._patterns, self._vit):
            self.patterns = None  # another model's

    @property
    def patterns(self) -> AttentionPatterns | None:
        """The map of attention patterns; None until one was learnt or given."""
        return self._patterns

    @patterns.setter
    def patterns(self, patterns: AttentionPatterns | None) -> None:
        if patterns is not None:
            patterns.check(self._vit)
        with self._lock:
            self._patterns, self._placed, self._patterns_here = patterns, None, b""
            version = self._patterns_info.get("version", 0) + 1
            families = {} if patterns is None else {n: _described(f) for n, f in patterns}
            self._patterns_info = {"version": version, "families": families}

    def learn_patterns(self) -> None:
        """Learn the patterns of all heads over the set of images, or over the image without one.

        Raises
        ------
        ParameterError
            If the libraries that this needs are not installed.
        """
        from ...patterns.layout import needed

        needed("openTSNE"), needed("sklearn")
        vit = self._vit
        images = [self._inputs] if self._image_set is None else [x for x, _ in self._image_set]

        def work(progress: Progress) -> None:
            found = AttentionPatterns().fit(vit, images, progress=progress)
            with self._lock:
                if self._vit.model is vit.model:  # another image does not matter
                    self.patterns = found
            if self._vit.model is vit.model:
                self.place_heads()

        self._do(self._longest, PATTERNS_SLOT, "learning patterns", work, no_result)

    def place_heads(self) -> None:
        """Place the heads of the image as it is shown on the map of patterns."""

        def work(_: Progress) -> tuple[Trace, AttentionPatterns, dict[str, Placed]] | None:
            shown, patterns = self._shown(), self._patterns
            return None if patterns is None else (shown, patterns, patterns.place(shown))

        def show(found: tuple[Trace, AttentionPatterns, dict[str, Placed]] | None) -> None:
            if found is not None and self.trace is found[0] and self._patterns is found[1]:
                self._placed = found[2]
                self._patterns_here = _encoded(found[2])

        self._do(self._quick, "place heads", "", work, show)

    # Bulk, on request ----------------------------------------------------------------------------

    def pattern_map(self, name: str) -> bytes:
        """All points of a map as they go to the browser.

        Heads come image by image in the same order, so their numbers need not be sent.
        """
        family = self._family(name)
        patterns = np.stack([cluster.pattern for cluster in family.clusters])
        return encode(
            {
                "points": family.embedding.astype(np.float16),
                "labels": family.labels.astype(np.uint8),
                "distances": family.distances().astype(np.float16),
                **_pictures(patterns),
            }
        )

    def pattern_thumbnails(self, name: str) -> bytes:
        """Attention of every head on the image as it is shown, as pictures."""
        placed = self._placed
        if placed is None or name not in placed:
            raise ParameterError("The heads of this image are not on the map yet: ask again later.")
        return encode(_pictures(placed[name].patterns))

    def pattern_at(self, name: str, index: int) -> bytes:
        """One point of a map as its code remembers it, as a picture."""
        family = self._family(name)
        if not 0 <= index < len(family):
            raise ParameterError(f"There is no point {index}: the map has {len(family)}.")
        return encode(_pictures(family.decoded(family.codes[index : index + 1])))

    def _family(self, name: str) -> PatternFamily:
        if self._patterns is None:
            raise ParameterError("There are no patterns yet: learn them first.")
        return self._patterns.family(name)


def _is_of(patterns: AttentionPatterns, vit: Any) -> bool:
    try:
        patterns.check(vit)
    except ParameterError:
        return False
    return True


def _described(family: PatternFamily) -> dict[str, Any]:
    return {
        "points": len(family),
        "images": len(np.unique(family.heads[:, 0])),
        "error": family.error,
        "pca_error": family.pca_error,
        "stability": None if np.isnan(family.stability) else family.stability,
        "clusters": [
            {"name": c.name, "size": c.size, "scores": c.scores, "layers": _pairs(c.layers)}
            for c in family.clusters
        ],
    }


def _pairs(counts: dict[int, int]) -> list[list[int]]:
    return [[layer, count] for layer, count in counts.items()]


def _encoded(placed: dict[str, Placed]) -> bytes:
    tensors = {}
    for name, heads in placed.items():
        tensors[f"{name}.points"] = heads.points.astype(np.float32)
        tensors[f"{name}.labels"] = heads.labels.astype(np.uint8)
    return encode(tensors)


def _pictures(patterns: Any) -> dict[str, Any]:
    """Pictures [n, height, width] in 8 bits, each square part relative to its own maximum."""
    count, height, width = patterns.shape
    parts = patterns.reshape(count, height, width // height, height).swapaxes(1, 2)
    levels, _ = quantise(parts.reshape(count, width // height, -1))
    return {"pictures": levels.reshape(parts.shape).swapaxes(1, 2).reshape(patterns.shape)}
