"""The protocol's schema: what is sent is what it says, and the browser's types are made of it."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import browser_fixtures
import pytest
from conform import problems

import vit_attention_widget as vaw
from vit_attention_widget.protocol import typescript
from vit_attention_widget.protocol.schema.binary import Encoded, Jpeg
from vit_attention_widget.protocol.schema.requests import Requests
from vit_attention_widget.protocol.schema.results import Results, WidgetTraits
from vit_attention_widget.protocol.schema.selections import (
    ExplorerResults,
    ExplorerSelections,
    Selections,
)
from vit_attention_widget.session.traits import RESULTS, SELECTIONS, ResultTraits, SelectionTraits
from vit_attention_widget.widgets.answers import _ANSWERS

TABLES = [(Selections, SelectionTraits, SELECTIONS), (Results, ResultTraits, RESULTS)]


def hints(of: Any) -> dict[str, Any]:
    return get_type_hints(of, include_extras=True)


def test_the_browser_has_types_of_this_schema() -> None:
    here = typescript.OUTPUT.read_text("utf-8")
    assert here == typescript.typescript(), "run python -m vit_attention_widget.protocol.typescript"


@pytest.mark.parametrize(("table", "traits", "names"), TABLES)
def test_every_trait_is_in_the_schema(table: Any, traits: Any, names: tuple[str, ...]) -> None:
    assert set(names) == set(hints(table))
    for name in names:
        assert traits.class_traits()[name].metadata["sync"]


@pytest.mark.parametrize("widget", [vaw.AttentionInspector, vaw.Explorer])
def test_widgets_have_no_further_traits(widget: Any) -> None:
    ours = {
        name
        for name, trait in widget.class_traits(sync=True).items()
        if trait.this_class.__module__.startswith("vit_attention_widget")
    }
    own = set[str]()
    if widget is vaw.Explorer:
        own = {*hints(ExplorerSelections), *hints(ExplorerResults)}
    assert ours == {*SELECTIONS, *RESULTS, *hints(WidgetTraits), *own}


@pytest.mark.parametrize(("table", "traits", "names"), TABLES)
def test_traits_are_annotated_as_in_the_schema(table: Any, traits: Any, names: Any) -> None:
    declared = hints(traits)
    for name, of in hints(table).items():
        if name not in declared:
            assert of in (int, Jpeg) or Encoded in (of, getattr(of, "__origin__", None))
            continue
        read, assigned = get_args(declared[name])
        assert of == (read if table is Selections else assigned)


def test_every_request_is_in_the_schema() -> None:
    assert set(_ANSWERS) == set(hints(Requests))


def test_values_that_are_not_of_the_schema_are_noticed() -> None:
    status = {
        "state": "idle",
        "label": "",
        "progress": None,
        "error": None,
        "milliseconds": 3,
        "paused": [],
    }
    of = hints(Results)["status"]
    assert problems(status, of) == []
    assert problems({**status, "progress": "half"}, of)
    assert problems({**status, "state": "busy"}, of)
    assert problems({**status, "more": 1}, of)
    assert problems({name: v for name, v in status.items() if name != "error"}, of)


def all_problems(traits: dict[str, Any], replies: dict[str, Any]) -> list[str]:
    wrong = [name for name in (*SELECTIONS, *RESULTS) if traits[name] == b""]
    for table, _, names in TABLES:
        for name in names:
            wrong += problems(traits[name], hints(table)[name], name)
    for method, reply in replies.items():
        wrong += problems(reply, get_args(hints(Requests)[method])[1], method)
    return wrong


@pytest.mark.slow
def test_what_a_session_sends_is_of_the_schema() -> None:
    assert all_problems(*browser_fixtures.sent()) == []


def test_what_vitest_reads_is_of_the_schema() -> None:
    traits, replies = browser_fixtures.written()
    assert {*traits} == {*SELECTIONS, *RESULTS}, "run python tests/browser_fixtures.py"
    assert all_problems(traits, replies) == [], "run python tests/browser_fixtures.py"
