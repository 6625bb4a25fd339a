"""What a long run is of: the model, its preparation, what was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
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
    "compared",
    "manifest",
    "read_manifest",
    "say_images_at",
    "say_skipped",
]

_FILE = "manifest.json"
_SKIPPED = "skipped"
WRITTEN_AT, IMAGES_AT = "written at", "images at"
"""Where the folder was when it was made, and where its pictures have moved to."""

_FORMAT, _FORMAT_VERSION = "format", 1
NOT_COMPARED = ("versions", "total", _SKIPPED, WRITTEN_AT, IMAGES_AT, _FORMAT)
"""What may differ between calls of one run."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[\\/]")


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


def check_manifest(
    folder: Path,
    about: dict[str, Any],
    in_files: Callable[[], Mapping[str, Any] | None] = lambda: None,
) -> None:
    """Write what a folder is of; where something stands there, it must be the same run.

    Parameters
    ----------
    folder : Path
    about : dict
        The run, as :func:`manifest` tells it.
    in_files : callable, optional
        What the folder's files say of their run, where the manifest is lost; empty if they do not
        say it, None if there are none.

    Raises
    ------
    ParameterError
        If the folder is of another run, with what differs; if it has a manifest of something else,
        or of a newer release; or if it cannot be written.
    """
    if _ADDRESS.match(str(folder)):
        raise ParameterError(
            f"{folder} is an address, but a store is a folder: mount it, or give a folder here and "
            "copy that afterwards."
        )
    in_place, there = _read(folder)
    lost = in_files() if in_place is None else None
    if lost == {} or (there and lost is None and in_place is None):
        raise ParameterError(
            f"{folder / _FILE} is not the manifest of a run"
            + (", and its files do not say of which run they are" if lost == {} else "")
            + ": give another folder."
        )
    before = lost if in_place is None else in_place
    if before is not None:
        _check_format(folder, before)
        for name in compared({**about, **before}):
            then, now = before.get(name), about.get(name)
            if not alike(name, then, now):
                raise ParameterError(
                    f"{folder} is of another run: its {name} is {_short(then)}, but here it is "
                    f"{_short(now)}. Give another folder, or the same call."
                )
    if in_place is None:
        here = {_FORMAT: _FORMAT_VERSION, WRITTEN_AT: str(folder.resolve())}
        _write(folder, {**about, **here})


def compared(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same in all calls of a run."""
    return {name: value for name, value in about.items() if name not in NOT_COMPARED}


def _read(folder: Path) -> tuple[dict[str, Any] | None, bool]:
    """The manifest, None if it is none or cannot be read; and whether there is such a file at all.

    One that is empty, as where the machine went down, is as if it were not there.
    """
    file = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8").strip("\0 \n") if file.exists() else ""
        before = json.loads(text) if text else None
    except ValueError:
        return None, True
    except OSError as error:
        raise ParameterError(f"{folder} cannot be used as a store: {error}.") from error
    return (before, True) if isinstance(before, dict) else (None, before is not None)


def _check_format(folder: Path, about: Mapping[str, Any]) -> None:
    version = about.get(_FORMAT, 1)
    if not isinstance(version, int) or version > _FORMAT_VERSION:
        raise ParameterError(
            f"{folder} has format {version}, but this release reads up to format "
            f"{_FORMAT_VERSION}: upgrade vit-attention-widget."
        )


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
    _check_format(folder, about)
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
