"""What an editor shows: no ``Any`` in what users call, and no name that it does not know."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import traitlets

import vit_attention_widget as vaw
from vit_attention_widget.session.traits import OPTIONS, Selections
from vit_attention_widget.widgets.base import SessionWidget, WidgetOptions

MEANS_ANY = re.compile(r"\b(Any|JsonObject|Row)\b(?!\()")
"""The type and its aliases, as annotations are written."""

JUSTIFIED = {
    "kept_result": "what it returns depends on which function was interrupted",
    "rows": "each column of a table has a type of its own",
    "image_rows": "each column of a table has a type of its own",
}
"""Functions and methods, by name, whose types are truly not known."""


def public(holder: ModuleType) -> Iterator[tuple[str, object]]:
    """Everything that a module and the modules in it offer, by where a user finds it."""
    for name in holder.__all__:
        offered = getattr(holder, name)
        if isinstance(offered, ModuleType):
            for inner, each in public(offered):
                yield f"{name}.{inner}", each
        else:
            yield name, offered


def members(cls: type) -> Iterator[tuple[str, object]]:
    """What a class offers that this package has written."""
    for base in cls.__mro__:
        if base.__module__.startswith("vit_attention_widget"):
            for name, member in vars(base).items():
                if not name.startswith("_") or name in ("__init__", "__call__", "__iter__"):
                    yield name, member


def annotations(member: object) -> dict[str, Any]:
    """The annotations of a function, method or property, by parameter."""
    if isinstance(member, property):
        member = member.fget
    member = getattr(member, "__func__", getattr(member, "func", member))
    if not inspect.isroutine(member):
        return {}
    signature = inspect.signature(member)
    parameters = {name: p.annotation for name, p in signature.parameters.items()}
    return {**parameters, "return": signature.return_annotation}


def untyped(name: str, offered: object) -> Iterator[str]:
    """The parameters, results and fields that are Any, each by its address."""
    if inspect.isclass(offered):
        fields = {
            field: annotation
            for base in offered.__mro__
            if base.__module__.startswith("vit_attention_widget")
            for field, annotation in vars(base).get("__annotations__", {}).items()
            if not field.startswith("_")
        }
        yield from (f"{name}.{field}" for field, a in fields.items() if MEANS_ANY.search(str(a)))
        for trait, member in members(offered):
            if type(member) is traitlets.Any and trait not in fields:
                yield f"{name}.{trait}"
        parts = {f"{name}.{member}": each for member, each in members(offered)}
    else:
        parts = {name: offered}
    for address, part in parts.items():
        if address.rpartition(".")[-1] not in JUSTIFIED:
            for parameter, annotation in annotations(part).items():
                if MEANS_ANY.search(str(annotation)):
                    yield f"{address}({parameter})"


def test_nothing_that_users_call_is_annotated_any() -> None:
    addresses = [each for name, offered in public(vaw) for each in untyped(name, offered)]
    assert not addresses


def test_any_is_seen_wherever_it_stands() -> None:
    class Result:
        field: list[Any]

        def method(self, argument: Any) -> None: ...

        @property
        def value(self) -> dict[str, Any]: ...

        @classmethod
        def load(cls, **options: Any) -> Result: ...

    Result.__module__ = "vit_attention_widget.test"
    expected = ["R.field", "R.method(argument)", "R.value(return)", "R.load(options)"]
    assert list(untyped("R", Result)) == expected


def test_each_exception_is_still_one() -> None:
    names = {
        name
        for _, offered in public(vaw)
        for name, part in (
            members(offered)
            if inspect.isclass(offered)
            else [(getattr(offered, "__name__", ""), offered)]
        )
        if any(MEANS_ANY.search(str(a)) for a in annotations(part).values())
    }
    assert names == set(JUSTIFIED)


def test_names_that_are_loaded_lazily_are_known_to_type_checkers() -> None:
    tree = ast.parse(Path(inspect.getfile(vaw)).read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(vaw._LAZY) <= imported


def test_options_of_sessions_and_widgets_are_typed_by_name() -> None:
    assert set(Selections.__annotations__) == set(OPTIONS) - {"target"}
    parameters = inspect.signature(SessionWidget.__init__).parameters.values()
    by_name = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert set(WidgetOptions.__annotations__) - set(Selections.__annotations__) == by_name


@pytest.mark.parametrize("name", ["ImageLike", "ImagesLike"])
def test_aliases_are_types_not_text(name: str) -> None:
    """Text that is put together of several parts is unknown to some type checkers."""
    assert not isinstance(getattr(vaw, name), str)
