"""The notebook that the page is made of: a model, a picture, and the Explorer."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from ..errors import ParameterError
from .choice import FIRST_SCENE, Choice

__all__ = ["save_notebook", "source"]


def source(choice: Choice) -> str:
    """Python that makes the Explorer; with whole paths, as a notebook may lie anywhere."""
    lines = ["import vit_attention_widget as vaw"]
    placed = "" if choice.device is None else f".to({choice.device!r})"
    if choice.model is None:
        lines += ["", f"model = vaw.demo.load_model(){placed}"]
    else:
        options = {"library": choice.library, "weights": _whole(choice.weights)}
        named = "".join(f", {name}={value!r}" for name, value in options.items() if value)
        lines += ["from vit_attention_widget.app import load_model", ""]
        lines += [f"model = load_model({_whole(choice.model)!r}{named}){placed}"]
    scene = f"vaw.demo.two_objects{FIRST_SCENE}.image"
    image = scene if choice.image is None else repr(_whole(choice.image))
    names = f", class_names={_whole(choice.class_names)!r}" if choice.class_names else ""
    return "\n".join([*lines, f"vaw.Explorer(model, {image}{names})"])


def save_notebook(choice: Choice, path: Path) -> None:
    """Write the notebook; one of that name is written over.

    Raises
    ------
    ParameterError
        If it cannot be written.
    """
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": uuid.uuid4().hex[:8],
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source(choice).splitlines(keepends=True),
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    try:
        path.write_text(json.dumps(notebook, indent=1), "utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ParameterError(f"{str(path)!r} cannot be written: {reason}.") from error


def _whole(path: str | None) -> str | None:
    """The whole path of what is there; a name of something else as it is."""
    if path is None or not os.path.exists(os.path.expanduser(path)):
        return path
    return os.path.abspath(os.path.expanduser(path))
