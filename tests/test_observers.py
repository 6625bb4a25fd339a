"""A user's observer cannot harm the session, and a process may end while something is computed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

import pytest

import vit_attention_widget as vaw

SCRIPT = """
import gc, os, torch, vit_attention_widget as vaw
gc.freeze()  # what was imported need not be looked through at the end of each
model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1).image
for more in 3 * [{}, {"pruned_heads": [(0, 0)]}]:
    child = os.fork()  # nothing was computed yet: as good as a process that is started anew
    if not child:
        session = vaw.Session(model, scene, **more)
        break
    assert os.waitpid(child, 0)[1] == 0
else:
    print("six ended well")
"""


def fails(change: object) -> None:
    raise ZeroDivisionError(change)


@pytest.mark.parametrize("name", ["status", "decision", "_maps", "importance"])
def test_an_observer_that_raises_is_logged_and_the_session_goes_on(
    session: vaw.Session, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[object] = []
    session.observe(fails, name)
    session.observe(lambda change: seen.append(change["new"]), name)
    before = session.decision
    with caplog.at_level(logging.ERROR):
        session.pruned_heads = [(0, 0), (2, 1)]
        assert session.wait(60)
    assert seen
    assert session.decision != before
    assert session.status["state"] == "idle"
    assert any(record.exc_info for record in caplog.records)
    session.unobserve(fails, name)
    caplog.clear()
    session.pruned_heads = []
    assert session.wait(60)
    assert not [record for record in caplog.records if record.exc_info]


def test_an_observer_of_a_widget_that_raises_is_logged(
    session: vaw.Session, caplog: pytest.LogCaptureFixture
) -> None:
    widget = vaw.HeadImportanceGrid(session=session)
    widget.observe(fails, "decision")
    with caplog.at_level(logging.ERROR):
        session.pruned_heads = [(0, 0)]
        assert session.wait(60)
    assert widget.decision == session.decision
    assert widget.pruned_heads == [(0, 0)]
    assert any(record.exc_info for record in caplog.records)


def test_in_the_users_own_thread_an_observer_raises(session: vaw.Session) -> None:
    session.observe(fails, "selected_token")
    with pytest.raises(ZeroDivisionError):
        session.selected_token = 3


def test_an_observer_that_waits_does_not_wait_for_itself(session: vaw.Session) -> None:
    answers: list[bool] = []

    def waits(change: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            answers.append(session.wait())

    session.observe(waits, "decision")
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    assert answers
    assert not any(answers)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_ends_while_something_is_computed_ends_well() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "six ended well\n")
