"""A model on its way to other processes: written once, and read by each process once.

Its structure is a pickle of some kB, in which tensors are only named; the tensors are a file of
safetensors. Of a model that :func:`~..models.factory.made_by` made there is but its description:
what it is made of, tensors and modules, is named as the factory makes it.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pickle
import platform
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import ParameterError
from ..models import VisionTransformer, describe
from ..results.files import replaced
from ..support.words import said

__all__ = ["SentModel"]

_STRUCTURE, _WEIGHTS = ".structure", ".safetensors"

_loaded: dict[str, VisionTransformer] = {}
"""The model of a worker, by the name of its file, which is made of a digest."""


class SentModel:
    """A model that is sent as the path of a file, which a process reads once.

    Parameters
    ----------
    vit : VisionTransformer
    folder : Path
        Where it is written, once it is sent.
    """

    def __init__(self, vit: VisionTransformer, folder: Path) -> None:
        self._vit: VisionTransformer | None = vit
        self._folder = folder
        self._file: Path | None = None

    @property
    def vit(self) -> VisionTransformer:
        """The model; read when it is first needed, which is where an error reaches the caller.

        What only passes it on, such as Dask's scheduler, never reads it.
        """
        if self._vit is None:
            assert self._file is not None
            self._vit = _loaded_from(self._file)
        return self._vit

    def remove(self) -> None:
        """Take the files away."""
        if self._file is not None:
            for ending in (_STRUCTURE, _WEIGHTS):
                self._file.with_suffix(ending).unlink(missing_ok=True)
            with suppress(OSError):
                self._file.parent.rmdir()

    def __getstate__(self) -> str:
        if self._file is None:
            self._file = self._written()
        return str(self._file)

    def __setstate__(self, state: str) -> None:
        self._vit, self._file = None, Path(state)

    def _written(self) -> Path:
        vit = self.vit
        factory = vit.factory
        names = {} if factory is None else _names_in(vit.model)
        structure = io.BytesIO()
        try:
            writer = _Writer(structure, names)
            writer.dump(vit)
            made = None if factory is None else _digest_of(_named_tensors(vit.model))
            header = pickle.dumps((factory, made, _digest_of(writer.tensors.items())))
        except Exception as error:
            raise ParameterError(
                f"{vit.name} cannot be sent to other processes ({error}): define its "
                "classes in a module, say which function makes it (vaw.made_by), or give an "
                "executor of threads."
            ) from error
        data = header + structure.getvalue()
        # Another run of the same folder may end, and take its files away, before this one.
        file = (self._folder / f"sent-{uuid.uuid4().hex}" / _name_of(data)).resolve()
        file.parent.mkdir(parents=True)
        with replaced(file.with_suffix(_WEIGHTS)) as temporary:
            save_file(writer.tensors, temporary)
        with replaced(file) as temporary:
            temporary.write_bytes(data)
        return file


def _loaded_from(file: Path) -> VisionTransformer:
    """The model in a file; the one that was read last is kept."""
    vit = _loaded.get(file.name)  # another thread may take it out at any moment
    if vit is None:
        try:
            data, tensors = file.read_bytes(), load_file(file.with_suffix(_WEIGHTS))
        except (OSError, SafetensorError) as error:
            raise ParameterError(
                f"A worker ({_this_process()}) cannot read the model from {file} ({error}): give "
                "store=, a folder that all workers see."
            ) from error
        if _name_of(data) != file.name:  # others may write there, and a pickle is code
            raise ParameterError(f"{file} is not the model that was sent.")
        _loaded.clear()
        vit = _loaded[file.name] = _read(file, data, tensors)
    return vit


def _name_of(data: bytes) -> str:
    return f"model-{hashlib.blake2b(data, digest_size=16).hexdigest()}{_STRUCTURE}"


class _Writer(pickle.Pickler):
    """Pickles what is no tensor; ``names`` are those of what a factory makes, by identity."""

    def __init__(self, file: io.BytesIO, names: Mapping[int, str]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.tensors: dict[str, Tensor] = {}
        self._names, self._seen = names, dict[int, tuple[Tensor, tuple[object, ...]]]()

    def persistent_id(self, value: Any) -> tuple[object, ...] | None:
        """What stands for a value; None for the value itself."""
        if id(value) in self._names:
            return "made", self._names[id(value)]
        if type(value) not in (Tensor, nn.Parameter) or not _is_plain(value):
            return None
        if id(value) not in self._seen:
            key = str(len(self.tensors))
            self.tensors[key] = value.detach().cpu().contiguous().clone()
            kind = "parameter" if type(value) is nn.Parameter else "tensor"
            said = kind, key, str(value.device), value.requires_grad
            self._seen[id(value)] = value, said
        return self._seen[id(value)][1]


class _Reader(pickle.Unpickler):
    """Reads what :class:`_Writer` wrote, with its tensors, or with what a factory made."""

    def __init__(
        self, file: io.BytesIO, tensors: Mapping[str, Tensor], made: nn.Module | None
    ) -> None:
        super().__init__(file)
        self._tensors, self._made, self._read = tensors, made, dict[str, Tensor]()

    def persistent_load(self, said: tuple[Any, ...]) -> Any:
        """The value that this stands for."""
        kind, key, *rest = said
        if kind == "made":
            return functools.reduce(getattr, key.split(".") if key else (), self._made)
        if key not in self._read:
            tensor = self._tensors[key].clone().to(rest[0])  # their file will go
            parameter = kind == "parameter"
            tensor = nn.Parameter(tensor, rest[1]) if parameter else tensor.requires_grad_(rest[1])
            self._read[key] = tensor
        return self._read[key]


def _read(file: Path, data: bytes, tensors: Mapping[str, Tensor]) -> VisionTransformer:
    """A model, from the structure that a file holds and its tensors.

    Raises
    ------
    ParameterError
        If these are not its tensors; with the name of this process if it lacks a package, or makes
        another model.
    """
    structure = io.BytesIO(data)
    try:
        factory, digest, of_tensors = pickle.load(structure)
        if _digest_of(sorted(tensors.items(), key=lambda item: int(item[0]))) != of_tensors:
            raise ParameterError(f"The weights beside {file} are not those that were sent.")
        made = None if factory is None else describe(factory()).model
        vit: VisionTransformer = _Reader(structure, tensors, made).load()
    except (ImportError, AttributeError) as error:
        raise ParameterError(
            f"A worker ({_this_process()}) cannot make the model: {said(error)}. Install what is "
            "missing there, in the same version as here."
        ) from error
    if made is not None and _digest_of(_named_tensors(made)) != digest:
        raise ParameterError(
            f"On a worker ({_this_process()}) the factory of {vit.name} makes a model with other "
            "weights than here: let it take them from a file, and do not change them afterwards."
        )
    return vit


def _this_process() -> str:
    """What to call this process among those of several machines."""
    return f"{platform.node()}, process {os.getpid()}"


def _names_in(model: nn.Module) -> dict[int, str]:
    """Modules, parameters and buffers of a model, by identity."""
    named: list[tuple[str, object]] = [*model.named_modules(), *_named_tensors(model)]
    return {id(value): name for name, value in named}


def _named_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _digest_of(named: Iterable[tuple[str, Tensor]]) -> str:
    """Differs where a tensor does."""
    together = hashlib.blake2b(digest_size=16)
    for name, tensor in named:
        together.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        if _is_plain(tensor):
            flat = tensor.detach().cpu().contiguous().flatten()
            together.update(flat.view(torch.uint8).numpy().data)
    return together.hexdigest()


def _is_plain(tensor: Tensor) -> bool:
    """Whether safetensors can hold it."""
    usual = tensor.layout is torch.strided and not tensor.is_quantized
    return usual and not tensor.is_complex() and tensor.device.type != "meta"
