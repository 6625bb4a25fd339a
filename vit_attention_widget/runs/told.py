"""Values as a manifest holds them: as JSON has them, and so that another value is told apart.

A function is told by what it does: its code, defaults, what it closes over, and the globals that it
reads, wherever these are of the user's own code; what is installed is told by its name.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import json
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Set
from enum import Enum
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..models import VisionTransformer
from ..models.fingerprint import samples_of

__all__ = ["Teller", "digest"]

_FEW = 20
"""Longer lists are told by their length and a digest."""

_OURS = __name__.partition(".")[0]


class Teller:
    """Tells values.

    Attributes
    ----------
    untold : dict
        By name what cannot be told from another of its type, with the type.
    """

    def __init__(self) -> None:
        self.untold: dict[str, str] = {}
        self._inside: set[int] = set()

    def tell(self, value: object, name: str) -> Any:
        """A value as JSON has it; ``name`` is what it is called where it cannot be told."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Enum | PurePath | torch.dtype | torch.device | complex | bytes):
            return str(value)
        if id(value) in self._inside:  # a function that calls itself
            return "..."
        self._inside.add(id(value))
        try:
            return self._tell(value, name)
        finally:
            self._inside.remove(id(value))

    def _tell(self, value: object, name: str) -> Any:
        if isinstance(value, Tensor):
            return _numbers(value)
        if hasattr(value, "__array__") and not isinstance(value, type | nn.Module):
            array = np.asarray(value)
            return self.tell(array.tolist(), name) if array.dtype.hasobject else _numbers(array)
        if isinstance(value, Mapping):
            return {str(key): self.tell(each, name) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return _short([self.tell(each, name) for each in value])
        if isinstance(value, Set):
            return _short(sorted((self.tell(each, name) for each in value), key=json.dumps))
        if isinstance(value, VisionTransformer):
            return [value.name, digest(samples_of(value).numpy().tobytes())]
        if isinstance(value, nn.Module):
            weights = {key: self.tell(each, name) for key, each in value.state_dict().items()}
            return [self.tell(type(value), name), digest(json.dumps(weights).encode())]
        if isinstance(value, FunctionType):
            return f"{value.__qualname__} {digest(json.dumps(self._function(value)).encode())}"
        if isinstance(value, MethodType):
            return [self.tell(value.__func__, name), self.tell(value.__self__, name)]
        if isinstance(value, functools.partial):
            return self.tell([value.func, value.args, value.keywords], name)
        if isinstance(value, ModuleType):
            return value.__name__
        if isinstance(value, type):
            members = {} if _is_installed(value.__module__) else vars(value)
            own = {n: f for n, f in members.items() if isinstance(f, FunctionType)}
            told = digest(json.dumps(self.tell(own, name)).encode()) if own else ""
            return f"{value.__module__}.{value.__qualname__} {told}".rstrip()
        if hasattr(value, "__wrapped__"):
            return self.tell(value.__wrapped__, name)
        if isinstance(value, BuiltinFunctionType) or type(value).__module__ == "builtins":
            return getattr(value, "__qualname__", type(value).__name__)
        return self._object(value, name)

    def _object(self, value: object, name: str) -> Any:
        """An object by its type and attributes."""
        if hasattr(value, "_told_by"):
            attributes = value._told_by()
        elif dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            attributes = {each.name: getattr(value, each.name) for each in fields}
        elif not _is_installed(type(value).__module__) and hasattr(value, "__dict__"):
            attributes = vars(value)
        else:
            self.untold[name] = type(value).__name__
            return type(value).__name__
        return [self.tell(type(value), name), self.tell(attributes, name)]

    def _function(self, function: FunctionType) -> list[object]:
        """What a function does."""
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        told: list[object] = [function.__module__ if _is_installed(function.__module__) else ""]
        told += [self.tell(_contents(cell), name) for name, cell in cells]
        told += [
            self.tell(each, function.__qualname__)
            for each in (function.__defaults__, function.__kwdefaults__)
        ]
        if not _is_installed(function.__module__):
            told.append(_code(function.__code__))
            told += [[name, self.tell(value, name)] for name, value in _read(function)]
        return told


def _contents(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _read(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Globals that a function reads, with their names; of modules what it takes out of them."""
    for code in _codes(function.__code__):
        following = [*dis.get_instructions(code)]
        for number, step in enumerate(following):
            if step.opname not in ("LOAD_GLOBAL", "LOAD_NAME"):
                continue
            name, value = str(step.argval), function.__globals__.get(step.argval)
            for attribute in following[number + 1 :]:
                takes = attribute.opname in ("LOAD_ATTR", "LOAD_METHOD")
                if not (takes and isinstance(value, ModuleType)):
                    break
                name, value = f"{name}.{attribute.argval}", getattr(value, attribute.argval, None)
            yield name, value


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _code(code: CodeType) -> list[object]:
    """What code does, wherever it is written."""
    constants = [_constant(constant) for constant in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _constant(value: object) -> object:
    if isinstance(value, CodeType):
        return _code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


@functools.cache
def _is_installed(module: str | None) -> bool:
    """Whether it is of Python, of this package, or of another that was installed."""
    root = (module or "").partition(".")[0]
    if root in sys.stdlib_module_names or root == _OURS:
        return root != "__main__"
    file = getattr(sys.modules.get(root), "__file__", None)
    places = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return file is not None and any(Path(file).resolve().is_relative_to(p) for p in places)


def _numbers(values: Tensor | NDArray[Any]) -> Any:
    if np.prod(values.shape) <= _FEW:
        return values.tolist()
    if isinstance(values, Tensor):  # of types that NumPy may not have
        raw = values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    else:
        raw = values.tobytes()
    return f"{values.dtype} {list(values.shape)} ({digest(raw)})"


def _short(listed: list[Any]) -> Any:
    if len(listed) <= _FEW:
        return listed
    return f"{len(listed)} ({digest(json.dumps(listed).encode())})"


def digest(data: bytes) -> str:
    """A short text that differs where the data do."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
