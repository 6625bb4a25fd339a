"""Weights from a file that holds numbers only, and how far they are those of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from ..errors import ParameterError
from ..support.words import said

__all__ = ["misfit", "read_weights", "without_prefix"]


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a safetensors file, or one of ``torch.save``; no code of a file is ever run.

    What training scripts put around the weights (``state_dict``, ``model``, a moving average,
    DataParallel's and torch.compile's prefixes) is taken off.

    Raises
    ------
    ParameterError
        If there is no such file, or it holds anything but weights.
    """
    from timm.models import load_state_dict

    file = Path(path).expanduser()
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise ParameterError(f"The file of weights {str(path)!r} {what}: give a file (--weights).")
    try:
        state = load_state_dict(str(file), weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes its reader raise
        raise ParameterError(
            f"{str(path)!r} cannot be read as weights: {said(error)}. A .safetensors file was "
            "expected, or one of torch.save(model.state_dict()): a whole pickled model is code, "
            "and is not run."
        ) from error
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ParameterError(
            f"{str(path)!r} holds no weights by name: save model.state_dict(), not the model."
        )
    return dict(state)


def without_prefix(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights of a model that was part of another, by the model's own names.

    Where a training module held it as ``model`` or ``backbone``, all its names begin so; what else
    the training module held is left out.
    """
    names = model.state_dict().keys()
    if names & state.keys():
        return dict(state)
    longest = max(names, key=len)
    prefixes = {name.removesuffix(longest) for name in state if name.endswith("." + longest)}
    if len(prefixes) != 1:
        return dict(state)
    [prefix] = prefixes
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def misfit(state: Mapping[str, Tensor], model: nn.Module) -> str:
    """In a few words, how weights differ from those of a model; empty where they do not."""
    expected = model.state_dict()
    missing = [name for name in expected if name not in state]
    more = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {list(value.shape)}, not {list(expected[name].shape)}"
        for name, value in state.items()
        if name in expected and value.shape != expected[name].shape
    ]
    parts = (
        (missing, "of the model's {} are missing", len(expected)),
        (more, "of the file's {} are not the model's", len(state)),
        (shapes, "of {} have another shape", len(expected)),
    )
    return "; ".join(
        f"{len(some)} {text.format(total)}, such as {some[0]}"
        for some, text, total in parts
        if some
    )
