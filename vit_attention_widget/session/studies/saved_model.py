"""The pruned model as a file where Python runs."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import ParameterError
from ...models.of_copy import as_of_original
from ...protocol.schema.results import ModelFormat, SavedModel
from ...support.progress import Progress
from .study import Study

__all__ = ["FORMATS", "SavedModelStudy"]

FORMATS: tuple[ModelFormat, ...] = ("safetensors", "ONNX")


class SavedModelStudy(Study):
    """Writes the model without the pruned heads, and says where it is."""

    def reset(self) -> None:
        self._traits._saved_model = {}

    def follow_trace(self) -> None:
        self._traits._saved_model = {}

    def save(self, form: ModelFormat, path: str | Path | None) -> None:
        """Write a file; by default into the folder in which Python runs, under a new name.

        Raises
        ------
        ParameterError
            If no head is pruned, or there is no such format.
        """
        context, heads = self._context, list(self._traits.pruned_heads)
        if form not in FORMATS:
            raise ParameterError(f"The format is {form!r}: choose from {', '.join(FORMATS)}.")
        if not heads:
            raise ParameterError("No head is pruned: prune some, then the smaller model is saved.")
        vit = context.vit

        def write(progress: Progress) -> SavedModel:
            from ...models import describe
            from ...pruning.cut import prune_heads, save_pruned
            from ...pruning.cut.onnx_file import write_onnx

            file = _free(vit.name, len(heads), form) if path is None else Path(path)
            small = prune_heads(vit, heads)
            progress(0.3, f"writing {file.name}")
            if form == "ONNX":
                write_onnx(as_of_original(describe(small), vit), file)
            else:
                save_pruned(small, file)
            return {"path": str(file.resolve()), "heads": len(heads), "bytes": file.stat().st_size}

        def show(saved: SavedModel) -> None:
            self._traits._saved_model = saved

        context.do(context.lanes.longest, "save model", f"saving as {form}", write, show)


def _free(name: str, heads: int, form: ModelFormat) -> Path:
    """A path in the current folder at which nothing stands."""
    end = "onnx" if form == "ONNX" else "safetensors"
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "model"
    stem = f"{plain}-without-{heads}-heads"
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.{end}" for n in range(1, 10_000))
    return next(path for path in map(Path, names) if not path.exists())
