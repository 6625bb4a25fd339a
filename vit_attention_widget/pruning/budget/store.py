"""Pruning to a budget in a folder, so that it goes on after its process was killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import nn

from ...errors import ParameterError
from ...models import VisionTransformer
from ...results.files import reading
from ...results.storage import read_tensors
from ...runs.folder import StoredResult
from ...runs.manifest import manifest
from ..cut.file import save_pruned
from ..cut.record import Pruning
from ..cut.run import prune_heads
from .result import BudgetPruning

__all__ = ["Store"]


class Store:
    """The result so far, and the weights of the model that was recovered last."""

    def __init__(
        self, folder: str | Path, about: Callable[[], tuple[VisionTransformer, dict[str, object]]]
    ) -> None:
        vit, options = about()
        self._folder = Path(folder)
        self._result = StoredResult(folder, BudgetPruning, manifest("prune_to", vit, **options))

    def save(self, result: BudgetPruning, *, now: bool = False) -> None:
        """Write it; weights first, so that a result never lacks them."""
        if result.recovered and result.model is not None:
            file = self._weights(result)
            if not file.exists():
                save_pruned(result.model, file)
            now = True
        self._result.save(result, now=now)
        for other in self._folder.glob("round-*.safetensors"):
            if result.recovered and other != self._weights(result):
                other.unlink(missing_ok=True)

    def load(self, vit: VisionTransformer) -> BudgetPruning | None:
        """What was written last, with its model where that can be had."""
        result: BudgetPruning | None = self._result.load()
        if result is None or not (result.complete or result.recovered):
            return result
        small = prune_heads(vit, result.heads)
        if result.recovered:
            if not self._weights(result).exists():
                return None
            _read_weights(small, self._weights(result))
        return replace(result, model=small)

    def _weights(self, result: BudgetPruning) -> Path:
        return self._folder / f"round-{len(result.heads):05d}.safetensors"


def _read_weights(small: nn.Module, file: Path) -> None:
    weights, about = read_tensors(file, "pruning")
    with reading(file):
        pruning = Pruning.from_json(about)
    try:
        small.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ParameterError(
            f"{file} is not of this model: {str(error).splitlines()[-1]}"
        ) from error
    small._vaw_pruning = pruning  # type: ignore[assignment]
