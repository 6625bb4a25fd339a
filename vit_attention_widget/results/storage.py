"""Tensors and what is said about them in one safetensors file, written and read with care.

The file's header names what the file holds (its kind), the version of the format, and holds all
that is no tensor as JSON. Files of earlier releases, which name no version, are version 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ParameterError
from ..support.words import said
from .files import check_file, replaced

__all__ = ["FORMAT_VERSION", "JsonObject", "NewerFormatError", "read_tensors", "write_tensors"]

FORMAT_VERSION = 1

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object; who reads one is inside ``files.reading``, which says that it is damaged."""


class NewerFormatError(ParameterError):
    """A newer release wrote a file: it is not damaged, and must not be written over."""


_PREFIX = "vit_attention_widget."
_VERSION = "format_version"


def write_tensors(
    path: str | Path, kind: str, tensors: Mapping[str, Tensor], about: Mapping[str, object]
) -> None:
    """Write a file in one go: whoever reads it sees the old file or the new one, never a part.

    Parameters
    ----------
    path : str or Path
        Overwritten if it exists. Its folder must exist.
    kind : str
        What the file holds, such as ``"head importance"``.
    tensors : mapping of str to Tensor
        On any device, contiguous or not; they may share memory.
    about : mapping
        All else, as JSON has it: text, numbers (NaN too), lists, and mappings by text.

    Raises
    ------
    ParameterError
        If the file cannot be written.
    """
    header = {_key(kind): json.dumps(about), _PREFIX + _VERSION: str(FORMAT_VERSION)}
    with replaced(path) as temporary:
        save_file(_separate(tensors), temporary, header)


def read_tensors(
    path: str | Path, kind: str, *, hint: str = ""
) -> tuple[dict[str, Tensor], JsonObject]:
    """Read what :func:`write_tensors` wrote: the tensors, on the CPU, and what is said about them.

    Tensors have memory of their own: the file may change or go afterwards.

    Parameters
    ----------
    path : str or Path
    kind : str
        What the file must hold.
    hint : str
        How such a file is made; said where it holds something else.

    Raises
    ------
    ParameterError
        If there is no such file, if it is damaged, if it holds something else than ``kind``, or
        if a newer release of this package wrote it. The message names the file.
    """
    check_file(path)  # to open a pipe would block for ever
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            _check(path, kind, header, hint)
            tensors = {name: file.get_tensor(name).clone() for name in list(file.keys())}
        about = json.loads(header[_key(kind)])
    except ParameterError:
        raise
    except Exception as error:  # a hostile header makes a parser raise anything
        raise ParameterError(f"{path} cannot be read as safetensors: {said(error)}.") from error
    if not isinstance(about, dict):
        raise ParameterError(f"{path} is damaged: its header does not describe {_spoken(kind)}.")
    return tensors, about


def _check(path: str | Path, kind: str, header: Mapping[str, str], hint: str) -> None:
    """Raise unless a file with this header can be read as this kind."""
    if _key(kind) not in header:
        names = [key.removeprefix(_PREFIX) for key in header if key.startswith(_PREFIX)]
        kinds = [_spoken(name) for name in names if name != _VERSION]
        held = f"{kinds[0]}, not {_spoken(kind)}" if kinds else f"no {_spoken(kind)}"
        raise ParameterError(f"{path} holds {held}" + (f": {hint}." if hint else "."))
    version = header.get(_PREFIX + _VERSION, "1")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise NewerFormatError(
            f"{path} has format version {version}, but this release reads up to version "
            f"{FORMAT_VERSION}: upgrade vit-attention-widget."
        )


def _key(kind: str) -> str:
    return _PREFIX + kind.replace(" ", "_")


def _spoken(kind: str) -> str:
    return kind.replace("_", " ")


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors wants them: contiguous, and none in the memory of another."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage()
        if memory.data_ptr() in seen or memory.nbytes() > tensor.nbytes:
            tensor = tensor.clone()
        else:
            seen.add(memory.data_ptr())
        separate[name] = tensor
    return separate
