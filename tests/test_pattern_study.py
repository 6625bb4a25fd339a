"""A session's map of patterns: learnt in the background, placed on it, answered on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
from safetensors.numpy import load
from test_patterns import points_of

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, ProtocolError


@pytest.fixture
def session(patterns: vaw.AttentionPatterns) -> Iterator[vaw.Session]:
    made = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=3).image, patterns=patterns)
    assert made.wait(60)
    yield made
    made.close()


def test_a_map_that_was_given(session: vaw.Session, patterns: vaw.AttentionPatterns) -> None:
    families = session._patterns_info["families"]
    assert set(families) == {"patches", "class"}
    assert families["patches"]["points"] == 5 * 24
    assert [c["name"] for c in families["patches"]["clusters"]] == [
        c.name for c in patterns.clusters
    ]
    loaded = load(session.studies.patterns.points("class"))
    assert loaded["points"].shape == (120, 2)
    assert loaded["distances"].shape == (24, 24)
    assert loaded["pictures"].shape[1:] == (14, 28)
    assert np.array_equal(loaded["labels"], patterns.family("class").labels)
    order = loaded["distances"][5 * 4 + 1].argsort(kind="stable")[1]
    assert divmod(int(order), 4) == patterns.nearest(5, 1, family="class")[0][:2]
    assert load(session.studies.patterns.point("patches", 7))["pictures"].shape == (1, 49, 49)


def test_heads_of_the_image_are_placed(session: vaw.Session) -> None:
    with pytest.raises(ParameterError, match="ask again later"):
        session.studies.patterns.thumbnails("patches")
    session.place_heads()
    assert session.wait(60)
    here = load(session._patterns_here)
    family = session.patterns.family()  # type: ignore[union-attr]
    assert np.allclose(here["patches_points"], points_of(family, 3), atol=0.05)  # it is of the set
    assert load(session.studies.patterns.thumbnails("patches"))["pictures"].shape == (24, 49, 49)


@pytest.mark.slow
def test_learning_in_the_background_survives_another_image() -> None:
    scenes = [vaw.demo.scene(seed=s).image for s in range(4)]
    session = vaw.Session(vaw.demo.load_model(), scenes[0], image_set=scenes)
    session.wait(60)
    session.learn_patterns()
    session.image = scenes[1]
    assert session.wait(120)
    assert session.patterns is not None
    assert session._patterns_info["families"]["patches"]["images"] == 4
    assert session._patterns_here
    session.model = vaw.demo.load_model()  # the same model, loaded again
    assert session.patterns is not None
    other = timm.create_model("vit_tiny_patch16_224", img_size=80, patch_size=8, depth=1)
    session.model = other.eval()
    assert session.patterns is None
    assert session._patterns_info["families"] == {}
    session.close()


def test_cancel_keeps_the_map_that_was_there(
    session: vaw.Session, patterns: vaw.AttentionPatterns
) -> None:
    session.learn_patterns()
    session.cancel()
    assert session.wait(60)
    assert session.patterns is patterns
    assert session.status["state"] == "idle"


def test_another_models_map_is_refused(patterns: vaw.AttentionPatterns, tmp_path: Path) -> None:
    model = vaw.demo.load_model()
    model.blocks[2].mlp.fc1.weight.data += 0.1
    with pytest.raises(ParameterError, match="another model"):
        vaw.Session(model, vaw.demo.scene(seed=1).image, patterns=patterns)


@pytest.mark.slow
def test_the_widget(patterns: vaw.AttentionPatterns) -> None:
    image = vaw.demo.scene(seed=1).image
    widget = vaw.AttentionPatternMap(vaw.demo.load_model(), image, patterns=patterns)
    assert widget.patterns is patterns
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._answer(None, {"id": "1", "method": "place_heads", "params": {}}, [])
    widget._answer(None, {"id": "2", "method": "pattern_map", "params": {"family": "class"}}, [])
    widget._answer(None, {"id": "3", "method": "pattern_map", "params": {"family": "rows"}}, [])
    params = {"family": "patches", "index": 10**6}
    widget._answer(None, {"id": "4", "method": "pattern_at", "params": params}, [])
    assert widget.wait(60)
    answers = {content["id"]: (content, buffers) for content, buffers in sent}
    assert answers["1"][0]["ok"]
    assert load(answers["2"][1][0])["points"].shape == (120, 2)
    assert "family" in answers["3"][0]["error"]["message"]
    assert "no point 1000000" in answers["4"][0]["error"]["message"]
    assert widget._patterns_here
    widget.close()
    bare = vaw.AttentionPatternMap(vaw.demo.load_model(), image)
    with pytest.raises(ParameterError, match="no map yet"):
        _ = bare.patterns
    bare.learn()
    assert bare.wait(120)
    assert len(bare.patterns.embedding) == 24  # of the one image
    bare.close()


def test_an_unknown_request_names_those_known(session: vaw.Session) -> None:
    from vit_attention_widget.protocol.messages import Request
    from vit_attention_widget.widgets.answers import work_of

    with pytest.raises(ProtocolError, match="pattern_map"):
        work_of(session, Request("1", "dance"))
