"""Pruned models as safetensors files."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ...errors import ParameterError
from ...results.files import reading
from ...results.storage import read_tensors, write_tensors
from .record import Pruning, pruning_of
from .run import prune_heads

__all__ = ["load_pruned", "save_pruned"]

_KIND = "pruning"


def save_pruned(model: nn.Module, path: str | Path) -> None:
    """Write a pruned model's weights, and what was pruned as JSON in the file's header.

    The file is plain safetensors; :func:`load_pruned` reads it.

    Raises
    ------
    ParameterError
        If the file cannot be written.
    """
    write_tensors(path, _KIND, model.state_dict(), pruning_of(model).to_json())


def load_pruned(model: nn.Module, path: str | Path) -> nn.Module:
    """Read a model that was written by :func:`save_pruned`.

    Parameters
    ----------
    model : nn.Module
        The same architecture, not pruned, e.g. ``timm.create_model(name)``; its weights do not
        matter, and it is not changed.
    path : str or Path

    Raises
    ------
    ParameterError
        If the file does not exist, is damaged, does not say what was pruned, or holds the weights
        of another architecture.
    """
    weights, about = read_tensors(path, _KIND, hint="write it with save_pruned(model, path)")
    with reading(path):
        pruning = Pruning.from_json(about)
    try:
        small = prune_heads(model, pruning.heads)
    except ParameterError as error:
        raise ParameterError(f"{path} does not fit {type(model).__name__}: {error}") from error
    try:
        small.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ParameterError(
            f"The weights in {path} do not fit {type(model).__name__}: create the architecture "
            f"that was pruned. {str(error).splitlines()[1].strip()}"
        ) from error
    # Where all heads of a layer went, which one stands for them depends on the steps.
    small._vaw_pruning = pruning  # type: ignore[assignment]
    return small
