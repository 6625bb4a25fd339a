"""Whether values are what the schema says: JSON by its types, binary data by what is inside."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from safetensors.numpy import load

from vit_attention_widget.protocol.schema.binary import (
    Encoded,
    Float,
    Float32,
    Uint8,
    Uint16,
    Uint32,
)

DTYPES = {
    Uint8: ("uint8",),
    Uint16: ("uint16",),
    Uint32: ("uint32",),
    Float32: ("float32",),
    Float: ("float32", "float16"),
}


def problems(value: Any, of: Any, where: str = "") -> list[str]:
    """What in a value is not of a type of the schema; empty if it is."""
    return list(_problems(value, of, where))


def _problems(value: Any, of: Any, where: str) -> Iterator[str]:
    origin, arguments = get_origin(of), get_args(of)
    if origin in (Union, types.UnionType):
        each = [problems(value, choice, where) for choice in arguments]
        yield from min(each, key=len)
    elif origin is Literal:
        if value not in arguments:
            yield f"{where} is {value!r}, none of {arguments}"
    elif origin is Annotated:
        yield from _array(value, *arguments, where)
    elif origin is Encoded:
        yield from _inside(value, *arguments, where)
    elif is_typeddict(of):
        yield from _fields(value, of, where)
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where} is {value!r}, not {of}"
            return
        for key, item in value.items():
            yield from _problems(key, arguments[0], f"{where} key")
            yield from _problems(item, arguments[1], f"{where}[{key!r}]")
    elif origin in (list, tuple):
        is_several = isinstance(value, list | tuple)
        kinds = arguments * len(value) if is_several and origin is list else arguments
        if not is_several or len(kinds) != len(value):
            yield f"{where} is {value!r}, not {of}"
        else:
            for i, (item, kind) in enumerate(zip(value, kinds, strict=True)):
                yield from _problems(item, kind, f"{where}[{i}]")
    elif not _is(value, of):
        yield f"{where} is {value!r}, not {of}"


def _is(value: Any, of: Any) -> bool:
    if of is None:
        return value is None
    if isinstance(value, bool):  # which is an int to Python, not to the schema
        return of is bool
    return isinstance(value, int | float if of is float else of)


def _fields(value: Any, of: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is {value!r}, not a dict"
        return
    hints = get_type_hints(of, include_extras=True)
    for name in sorted(of.__required_keys__ - set(value)):
        yield f"{where} lacks {name!r}"
    for name, item in value.items():
        if name in hints:
            yield from _problems(item, hints[name], f"{where}[{name!r}]")
        else:
            yield f"{where} has {name!r}, which the schema lacks"


def _array(value: Any, dtype: Any, axes: str, where: str) -> Iterator[str]:
    if value.dtype.name not in DTYPES[dtype] or value.ndim != len(axes.split(", ")):
        yield f"{where} is {value.dtype} {list(value.shape)}, not {DTYPES[dtype]} [{axes}]"


def _inside(value: Any, tensors: Any, metadata: Any, where: str) -> Iterator[str]:
    """Bytes: what tensors they hold; where there is nothing, there are none."""
    if not isinstance(value, bytes):
        yield f"{where} is {value!r}, not bytes"
    elif value:
        yield from _problems(load(value), tensors, where)
        text = set(metadata_of(value))
        named = set(get_type_hints(metadata)) if is_typeddict(metadata) else set()
        if text != named:
            yield f"{where} has metadata {text}, not {named}"


def metadata_of(data: bytes) -> dict[str, str]:
    """The text beside the tensors."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__", {}))
