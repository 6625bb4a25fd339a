"""What a long run is of: the model, its preparation, what was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..models import VisionTransformer
from ..results.files import replaced
from ..support.warn import warn_caller
from .of_model import alike, told_of_model
from .told import Teller

__all__ = [
    "IMAGES_AT",
    "NOT_COMPARED",
    "WRITTEN_AT",
    "check_manifest",
    "manifest",
    "read_manifest",
    "say_images_at",
    "say_skipped",
]

_FILE = "manifest.json"
_SKIPPED = "skipped"
WRITTEN_AT, IMAGES_AT = "written at", "images at"
"""Where the folder was when it was made, and where its pictures have moved to."""

NOT_COMPARED = ("versions", "total", _SKIPPED, WRITTEN_AT, IMAGES_AT)
"""What may differ between calls of one run."""


def manifest(
    function: str, vit: VisionTransformer | Mapping[str, VisionTransformer], **options: object
) -> dict[str, Any]:
    """What a run is of, as JSON has it.

    Parameters
    ----------
    function : str
        Its name.
    vit : VisionTransformer, or several by name
    **options
        What changes the numbers, by the name of the parameter.

    Warns
    -----
    UserWarning
        If one holds something whose value cannot be told.
    """
    teller = Teller()
    several = vit if isinstance(vit, Mapping) else {"": vit}
    about = {
        "function": function,
        **{
            f"{what} of {name}" if name else what: value
            for name, each in several.items()
            for what, value in told_of_model(each).items()
        },
        **{name: teller.tell(value, name) for name, value in options.items()},
        "versions": {name: _version(name) for name in ("vit-attention-widget", "torch", "timm")},
    }
    if teller.untold:
        what = ", ".join(f"{name} (a {kind})" for name, kind in teller.untold.items())
        warn_caller(
            f"What {function} is given cannot be told from other values of its type: {what}. "
            "If it changes, give another folder: this one would not be refused."
        )
    return about


def check_manifest(folder: Path, about: dict[str, Any]) -> None:
    """Write what a folder is of; where something stands there, it must be the same run.

    Raises
    ------
    ParameterError
        If the folder is of another run, with what differs; if it has a manifest of something else;
        or if it cannot be written.
    """
    file = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8").strip("\0 \n") if file.exists() else ""
        before = json.loads(text) if text else None  # empty where the machine went down
    except ValueError:
        before = ()
    except OSError as error:
        raise ParameterError(f"{folder} cannot be used as a store: {error}.") from error
    if before is not None and not isinstance(before, dict):
        raise ParameterError(f"{file} is not the manifest of a run: give another folder.")
    if isinstance(before, dict):
        for name in (name for name in {**about, **before} if name not in NOT_COMPARED):
            then, now = before.get(name), about.get(name)
            if not alike(name, then, now):
                raise ParameterError(
                    f"{folder} is of another run: its {name} is {_short(then)}, but here it is "
                    f"{_short(now)}. Give another folder, or the same call."
                )
        return
    _write(folder, {**about, WRITTEN_AT: str(folder.resolve())})


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a folder is of.

    Raises
    ------
    ParameterError
        If it is no store, or its manifest cannot be read.
    """
    try:
        about = json.loads((folder / _FILE).read_text("utf-8"))
        if not isinstance(about, dict) or "function" not in about:
            raise ValueError("it does not say what it is of")
    except FileNotFoundError as error:
        raise ParameterError(
            f"{folder} holds no store: give the folder that a function with store=... fills."
        ) from error
    except (OSError, ValueError) as error:
        raise ParameterError(f"{folder / _FILE} is damaged: {error}.") from error
    return about


def say_images_at(folder: Path, places: Sequence[str]) -> None:
    """Say in the manifest in which folders its pictures may lie by now."""
    _write(folder, {**read_manifest(folder), IMAGES_AT: list(places)})


def _write(folder: Path, about: dict[str, Any]) -> None:
    with replaced(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(about, indent=1), "utf-8")


def say_skipped(folder: Path, skipped: Mapping[int, str], *, all_of_them: bool = False) -> None:
    """Say in the manifest which images are skipped, beside those that it says already."""
    file = folder / _FILE
    about = json.loads(file.read_text("utf-8"))
    before = {} if all_of_them else about.get(_SKIPPED, {})
    now = {**before, **{str(number): why for number, why in skipped.items()}}
    if now != about.get(_SKIPPED, {}):
        _write(folder, {**about, _SKIPPED: now})


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
