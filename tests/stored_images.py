"""A folder as a long run fills it, chunk by chunk, by numbers of no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vit_attention_widget.models import VisionTransformer
from vit_attention_widget.results.zarr_folder import ZarrFolder
from vit_attention_widget.runs.manifest import manifest

CHUNK = 256


class Filling:
    """Writes what ``head_importance(..., store=folder)`` does, as many chunks as are asked for."""

    def __init__(
        self, folder: Path, vit: VisionTransformer, total: int, classes: int = 5, seed: int = 0
    ) -> None:
        folder.mkdir(exist_ok=True)
        about = manifest("head_importance", vit, metric=["jsd", "taylor"], target=None)
        (folder / "manifest.json").write_text(
            json.dumps({**about, "total": total, "images of a chunk": CHUNK}), "utf-8"
        )
        self._zarr, self._done = ZarrFolder(folder, "image", CHUNK), 0
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, classes, total)
        likes = rng.normal(size=(classes, vit.num_layers, max(vit.num_heads)))
        roots = likes[self.labels] + rng.normal(size=(total, *likes.shape[1:]))
        self.taylor = (0.1 * roots * np.abs(roots)).astype(np.float32)
        self.jsd = np.abs(self.taylor)

    def fill(self, images: int) -> None:
        """Write chunks until there are so many images; the last one may not be full."""
        for first in range(self._done - self._done % CHUNK, images, CHUNK):
            some = slice(first, min(first + CHUNK, images))
            arrays: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
                "jsd": (("image", "layer", "head"), self.jsd[some]),
                "taylor": (("image", "layer", "head"), self.taylor[some]),
                "baseline": (("image",), np.full(len(self.jsd[some]), 0.5, np.float32)),
                "label": (("image",), self.labels[some]),
            }
            self._zarr.append(first // CHUNK, arrays, {"kind": "head importance"})
        self._done = images
