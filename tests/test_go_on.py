"""What a user stops stays as far as it came, and goes on from there: nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_session import PICTURE, tiny

import vit_attention_widget as vaw
from vit_attention_widget.importance import head_ablation
from vit_attention_widget.session.lanes import Job, JobPaused, Lane
from vit_attention_widget.session.stepwise import Stepwise

SCENES = [PICTURE, PICTURE[::-1].copy(), PICTURE[:, ::-1].copy()]


def stop_when(session: vaw.Session, trait: str, reached: Callable[[Any], bool]) -> None:
    """Cancel, once, when what a trait holds has come so far."""
    stopped = []

    def look(change: Any) -> None:
        if not stopped and reached(change["new"]):
            stopped.append(True)
            session.cancel()

    session.observe(look, trait)


def known(table: Any) -> int:
    return 0 if table is None else int(np.isfinite(table).sum())


def test_importance_goes_on_with_the_heads_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = vaw.Session(tiny(), PICTURE)
    assert whole.wait(60)
    removed: list[tuple[int, int]] = []
    without = head_ablation._without

    def counted(trace: vaw.Trace, layer: int, heads: list[int]) -> Any:
        removed.extend((layer, head) for head in heads)
        return without(trace, layer, heads)

    monkeypatch.setattr(head_ablation, "_without", counted)
    session = vaw.Session(tiny(), PICTURE)
    stop_when(session, "importance", lambda table: 2 <= known(table) < 12)
    assert session.wait(60)
    count = known(session.importance)
    assert 2 <= count < 12
    assert f"{count} of 12 heads" in session.status["paused"]
    assert session.status["state"] == "idle"
    session.go_on()
    assert session.wait(60)
    assert session.status["paused"] == []
    assert len(removed) == len(set(removed)) == 12
    np.testing.assert_array_equal(session.importance, whole.importance)
    for each in (whole, session):
        each.close()


def test_a_curve_goes_on_where_it_was() -> None:
    whole = vaw.Session(tiny(), PICTURE)
    assert whole.wait(60)
    whole.draw_curve("random")
    assert whole.wait(60)
    session = vaw.Session(tiny(), PICTURE)
    assert session.wait(60)
    steps: list[int] = []
    monitor = session.observe
    monitor(lambda change: steps.append(len(change["new"]["random"]["order"])), "curves")
    stop_when(session, "curves", lambda curves: True)
    session.draw_curve("random")
    assert session.wait(60)
    [said] = session.status["paused"]
    shown = len(session.curves["random"]["order"])
    assert said == f"{shown} of 12 heads masked by random"
    assert shown < 12
    session.go_on()
    assert session.wait(60)
    assert session.curves == whole.curves
    assert steps == sorted(steps)  # it never began again
    for each in (whole, session):
        each.close()


def test_images_that_were_measured_are_kept() -> None:
    scenes = [vaw.demo.scene(seed=seed) for seed in range(9)]
    labeled = [(scene.image, scene.label) for scene in scenes]
    model = vaw.demo.load_model()
    whole = vaw.Session(model, scenes[0].image, image_set=labeled)
    session = vaw.Session(model, scenes[0].image, image_set=labeled)
    for each in (whole, session):
        assert each.wait(120)
    whole.lay_out_images("jsd")
    stop_when(session, "status", lambda status: (status["progress"] or 0) > 0.1)
    session.lay_out_images("jsd")
    for each in (whole, session):
        assert each.wait(120)
    [said] = session.status["paused"]
    assert said.endswith("of 9 images")
    assert session.image_overview is None
    assert not session._overview["measuring"]
    session.go_on()
    assert session.wait(120)
    assert session.status["paused"] == []
    assert session.image_overview is not None
    np.testing.assert_array_equal(
        session.image_overview.importance.values, whole.image_overview.importance.values
    )
    for each in (whole, session):
        each.close()


def test_entropy_of_a_set_goes_on() -> None:
    whole, session = (vaw.Session(tiny(), PICTURE, image_set=SCENES) for _ in range(2))
    for each in (whole, session):
        assert each.wait(60)
    whole.measure_strength_of_set()
    stop_when(session, "status", lambda status: "how far" in status["label"])
    session.measure_strength_of_set()
    for each in (whole, session):
        assert each.wait(60)
    assert session.status["paused"][0].endswith("of 3 images")
    session.go_on()
    assert session.wait(60)
    assert session._strength_set == whole._strength_set
    for each in (whole, session):
        each.close()


@pytest.mark.parametrize("change", ["pruned", "image"])
def test_what_no_longer_counts_does_not_go_on(change: str) -> None:
    session = vaw.Session(tiny(), PICTURE)
    stop_when(session, "importance", lambda table: 2 <= known(table) < 12)
    assert session.wait(60)
    assert session.status["paused"]
    if change == "pruned":
        session.pruned_heads = [(0, 0)]
    else:
        session.image = SCENES[1]
    assert session.wait(60)
    assert session.status["paused"] == []
    assert known(session.importance) == (11 if change == "pruned" else 12)
    session.go_on()
    assert session.wait(60)
    session.close()


def test_whatever_ends_it_running_again_goes_on() -> None:
    begun: list[int | None] = []
    pause = JobPaused("enough")
    pause.partial = 2  # type: ignore[attr-defined]

    def steps(_: Any, start: int | None) -> Any:
        begun.append(start)
        for value in range((start or 0) + 1, 4):
            if len(begun) < value:
                raise ValueError("once") if value == 2 else pause
            yield value

    taken: list[int] = []
    work = Stepwise(steps, taken.append)
    with pytest.raises(ValueError, match="once"):
        work(lambda *_: None)
    assert work.latest == 1
    with pytest.raises(JobPaused):
        work(lambda *_: None)
    assert work.latest == 2
    work(lambda *_: None)
    assert begun == [None, 1, 2]
    assert taken == [1, 2, 3]


def test_a_job_that_was_replaced_is_not_paused() -> None:
    lane, ended = Lane("test"), []
    job = Job("a", "a", lambda _: None, on_cancelled=lambda: ended.append(job.is_paused))
    job.cancel()
    job.pause()
    assert not job.is_paused
    with pytest.raises(Exception, match="cancelled") as raised:
        job.check()
    assert not isinstance(raised.value, JobPaused)
    lane.close()


def test_the_first_look_goes_on() -> None:
    whole = vaw.Session(tiny(), PICTURE)
    assert whole.wait(60)
    session = vaw.Session(tiny(), PICTURE)
    session.cancel()
    assert session.wait(60)
    assert session.trace is None
    assert any("running the model" in said for said in session.status["paused"])
    session.go_on()
    assert session.wait(60)
    assert session.status["paused"] == []
    assert session.status["error"] is None
    assert session.top5 == whole.top5
    np.testing.assert_array_equal(session.importance, whole.importance)
    for each in (whole, session):
        each.close()


def test_two_clicks_on_cancel_are_as_one() -> None:
    job = Job("a", "a", lambda _: None)
    job.pause()
    job.pause()
    with pytest.raises(JobPaused):
        job.check()


def test_a_class_whose_trace_was_cancelled_is_not_said_to_be_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = vaw.Session(tiny(), PICTURE, 1)
    assert session.wait(60)
    lane = session._context.lanes.quick
    monkeypatch.setattr(lane, "submit", lambda job: lane._waiting.__setitem__(job.slot, job))
    session.target = None
    assert session.decision["follows_prediction"]
    session.cancel()
    assert session.target == 1
    assert not session.decision["follows_prediction"]
    session.close()
