"""A method that takes long runs in a session when it is selected, and blocks no other."""

from __future__ import annotations

import threading

import pytest
import torch

import vit_attention_widget as vaw
from vit_attention_widget.explainers import LONG_METHODS, METHODS, Attribution
from vit_attention_widget.support.progress import Progress


def _session() -> vaw.Session:
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    assert session.wait(60)
    return session


def test_it_runs_only_when_it_is_selected() -> None:
    session = _session()
    assert set(session.attributions) == set(METHODS)
    offered = {choice["key"] for choice in session._model_info["methods"]}
    assert offered == {*METHODS, *LONG_METHODS}
    session.method = "occlusion"
    assert session.wait(120)
    expected = LONG_METHODS["occlusion"](session.trace).values[0].float().numpy()
    torch.testing.assert_close(
        torch.as_tensor(session.attributions["occlusion"]), torch.as_tensor(expected)
    )
    session.pruned_heads = [(0, 0)]  # what is selected follows the new trace, both maps of it
    assert session.wait(120)
    assert {"occlusion", "occlusion.before"} <= set(session.studies.maps.maps)
    session.close()


def test_it_is_stopped_by_another_selection_and_blocks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, stopped = threading.Event(), threading.Event()

    def endless(trace: vaw.Trace, *, progress: Progress) -> Attribution:
        try:
            for _ in range(6000):
                started.set()
                progress(0.5, "taking long")
                threading.Event().wait(0.01)
        finally:
            stopped.set()
        raise AssertionError

    monkeypatch.setitem(LONG_METHODS, "occlusion", endless)
    session = _session()
    session.method = "occlusion"
    assert started.wait(30)
    session.target = int(session.trace.logits[0].topk(2).indices[1])  # another trace, other maps
    assert session.studies.maps is not None
    assert session._context.lanes.quick.wait(30)
    assert session._context.lanes.long.wait(60)
    assert set(session.attributions) == set(METHODS)
    session.method = "daam"
    assert stopped.wait(30)
    assert session.wait(60)
    assert session.status["error"] is None
    session.close()
