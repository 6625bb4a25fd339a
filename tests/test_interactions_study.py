"""Backup heads in the session: measured on the image, or given from many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError

SCENES = [vaw.demo.two_objects(seed, ("heart", "star")).image for seed in (208, 5)]


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    session = vaw.Session(vaw.demo.load_model(), SCENES[0], metric="jsd")
    session.wait()
    yield session
    session.close()


def test_backups_are_those_of_head_interactions(session: vaw.Session) -> None:
    assert (session.interactions, session._interactions) == (None, {})
    session.measure_interactions()
    assert session._interactions["asks"]
    session.wait()
    expected = vaw.head_interactions(
        session.model, SCENES[0], session.decision["target"], metric="jsd"
    )
    shown = session._interactions
    assert not shown["asks"]
    assert (shown["done"], shown["total"], shown["of_image"]) == (24, 24, True)
    pairs = [(pair["gone"], pair["backup"]) for pair in shown["backups"]]
    assert pairs == [(pair.gone, pair.backup) for pair in expected.backups(12)]
    first = shown["backups"][0]
    assert first["change"] == pytest.approx(expected.backups(1)[0].change, abs=1e-5)
    session.pruned_heads = [(1, 0)]  # what is known is of the whole model, and stays
    session.wait()
    assert session._interactions is shown
    session.target = "ring"
    session.wait()
    assert session.interactions is None


def test_what_was_stopped_goes_on(session: vaw.Session) -> None:
    stopped = []

    def stop(change: dict[str, dict[str, int]]) -> None:
        if change["new"].get("done", 0) >= 1 and not stopped:
            stopped.append(change["new"]["done"])
            session.cancel()

    session.observe(stop, names=["_interactions"])
    session.measure_interactions()
    session.wait()
    session.unobserve_all()
    assert stopped
    assert not session._interactions["asks"]
    assert 1 <= session._interactions["done"] < 24
    assert any("heads masked" in said for said in session.status["paused"])
    session.go_on()
    assert session._interactions["asks"]
    session.wait()
    assert session._interactions["done"] == 24


def test_what_is_given_stays_while_other_images_are_looked_at(session: vaw.Session) -> None:
    given = vaw.head_interactions(session.model, SCENES, heads=[(1, 0)], metric="probability")
    session.interactions = given
    assert session.interactions is given
    shown = session._interactions
    assert (shown["images"], shown["of_image"]) == (2, False)
    session.image = SCENES[1]
    session.wait()
    assert session._interactions == shown
    with pytest.raises(ParameterError, match="is a list: give what head_interactions returns"):
        session.interactions = []  # type: ignore[assignment]
    with pytest.raises(ParameterError, match="choose from probability"):
        session.measure_interactions("depth")  # type: ignore[arg-type]
    session.model = vaw.demo.load_model()
    assert session.interactions is None
