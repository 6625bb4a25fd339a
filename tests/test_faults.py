"""Every long function, stopped by every fault, keeps the part that was computed."""

from __future__ import annotations

import pytest

import vit_attention_widget as vaw
from tests.faults import FAULTS, FUNCTIONS, WHERE, attempt, differences, something_was_computed
from vit_attention_widget.patterns.collecting import CollectedHeads

SLOW = ("AttentionPatterns.fit", "image_overview")
CELLS = [
    pytest.param(name, fault, where, marks=pytest.mark.slow if name in SLOW or where != 0.6 else ())
    for name in FUNCTIONS
    for fault in FAULTS
    for where in WHERE
]


@pytest.mark.parametrize(("name", "fault", "where"), CELLS)
def test_what_was_computed_is_kept(name: str, fault: str, where: float) -> None:
    tried = attempt(name, fault, where)
    assert tried.hit
    if tried.error is None:  # it came in a check after all that is measured, which goes without it
        assert FAULTS[fault][0] in ("nan", "model for good")
        assert tried.partial.complete
        assert differences(name, tried.partial) < 1e-12
        return
    if something_was_computed(name, fault, where):
        assert tried.partial is not None
    if tried.partial is not None:
        assert differences(name, tried.partial) < 1e-12
        assert tried.partial.how_far
        no_map_yet = isinstance(tried.partial, CollectedHeads)
        if no_map_yet or fault in ("Ctrl-C", "cancel"):  # raised, so that cells and scripts stop
            assert vaw.kept_result() is tried.partial
        else:
            assert tried.partial.error is tried.error
            assert not tried.partial.complete
            assert "unfinished" in repr(tried.partial)
