"""The Explorer's panels: which are open, in what order, from Python and from the browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.widgets.explorer import PANELS, USUAL_PANELS

TABLE = Path(__file__).parents[1] / "js" / "src" / "views" / "explorer" / "panels.tsx"


@pytest.fixture(scope="module")
def session() -> Iterator[vaw.Session]:
    session = vaw.Session(tiny(), PICTURE)
    yield session
    session.close()


@pytest.fixture
def explorer(session: vaw.Session) -> Iterator[vaw.Explorer]:
    widget = vaw.Explorer(session=session)
    yield widget
    widget.close()


def test_the_browser_knows_the_same_panels() -> None:
    rows = re.findall(r'\{ id: "(\w+)".*open: (true|false)', TABLE.read_text("utf-8"))
    assert tuple(name for name, _ in rows) == PANELS
    assert tuple(name for name, is_open in rows if is_open == "true") == USUAL_PANELS


def test_panels_are_the_widgets_own(session: vaw.Session, explorer: vaw.Explorer) -> None:
    assert explorer.panels == list(USUAL_PANELS)
    other = vaw.Explorer(session=session, panels=("heads", "strength"))
    assert other.panels == ["heads", "strength"]
    other.panels = ["picture"]
    assert explorer.panels == list(USUAL_PANELS)
    assert explorer.get_state(["panels"]) == {"panels": list(USUAL_PANELS)}
    assert not vaw.HeadImportanceGrid.own
    other.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["picture", "map"], "no panel 'map': choose from picture, "),
        (["heads", "heads"], "'heads' twice"),
        ("heads", "a list was expected"),
        ([["heads"]], "no panel"),
        (None, "a list was expected"),
    ],
)
def test_mistakes_are_named(explorer: vaw.Explorer, wrong: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        explorer.panels = wrong
    with pytest.raises(ParameterError, match=message):
        vaw.Explorer(session=explorer.session, panels=wrong)
    assert explorer.panels == list(USUAL_PANELS)


def test_the_browser_arranges(explorer: vaw.Explorer) -> None:
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]), names="panels")
    explorer.set_state({"panels": ["film", "picture"], "selected_layer": 2})
    assert explorer.panels == ["film", "picture"]
    assert explorer.selected_layer == 2
    explorer.set_state({"panels": []})
    assert seen == [["film", "picture"], []]


def test_what_the_browser_sends_is_checked(explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(explorer, "send_state", lambda key=None: sent.append(key))
    for wrong in (["os.system"], ["heads", "heads"], "heads", 7, {"heads": 1}):
        explorer.set_state({"panels": wrong})
        assert explorer.panels == list(USUAL_PANELS)
    assert sent.count(["panels"]) == 5
