"""Which library a model is of, by its name or by what lies in its folder."""

from __future__ import annotations

import difflib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ..errors import ParameterError, UnsupportedModelError

__all__ = ["LIBRARIES", "Library", "library_of"]

Library: TypeAlias = Literal["timm", "transformers", "open_clip"]
LIBRARIES: tuple[Library, ...] = get_args(Library)


def library_of(name: str) -> Library:
    """The library that knows a model of this name, or that saved this folder.

    Raises
    ------
    ParameterError
        If the name is that of a file, or of a folder that is not there or no model's.
    UnsupportedModelError
        If no library knows it; the message names the most similar models.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        raise ParameterError(
            f"{name!r} is a file, and weights alone do not say what model they are of: name it, "
            f"and give the file beside it: --model NAME --weights {name}."
        )
    if name.startswith((".", "~")) or path.is_absolute():
        raise ParameterError(
            f"There is no folder {name!r}: give one of save_pretrained(), or a model's name."
        )
    if name.startswith(("hf-hub:", "timm/")):
        return "timm"
    return "transformers" if "/" in name else _of_name(name)


def _of_folder(path: Path) -> Library:
    if (path / "open_clip_config.json").is_file():
        return "open_clip"
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        config = {}
    if "model_type" in config:
        return "transformers"
    if "architecture" in config:
        return "timm"
    raise ParameterError(
        f"The folder {str(path)!r} holds no config.json of transformers or timm, and no "
        "open_clip_config.json: give one that save_pretrained() wrote, or a model's name."
    )


def _of_name(name: str) -> Library:
    import timm

    if timm.is_model(name.partition(".")[0]):
        return "timm"
    similar = difflib.get_close_matches(name, timm.list_models(), 3)
    if find_spec("open_clip") is not None:
        import open_clip

        models = open_clip.list_models()
        if name in models:
            return "open_clip"
        similar += difflib.get_close_matches(name, models, 3)
    hint = f" Did you mean {', '.join(similar)}?" if similar else ""
    raise UnsupportedModelError(
        f"No model {name!r} is known to timm or open_clip.{hint} Models of transformers are named "
        "with their owner, such as google/vit-base-patch16-224, or by their folder."
    )
