"""The decision as it stands now comes first, with the classes that were likely before behind it."""

from __future__ import annotations

import vit_attention_widget as vaw


def test_the_likeliest_class_of_now_comes_first() -> None:
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=4).image)
    assert session.wait(60)
    before = session.decision["rows"]
    assert [row["before"] for row in before] == sorted((r["before"] for r in before), reverse=True)
    session.pruned_heads = {3: [0, 1, 2, 3]}
    assert session.wait(60)
    rows = session.decision["rows"]
    after = [row["after"] for row in rows]
    assert after == sorted(after, reverse=True)
    assert rows[0]["index"] == int(session.trace.probabilities[0].argmax())
    assert rows[0]["index"] != before[0]["index"]  # else nothing was tried
    assert {row["index"] for row in before} <= {row["index"] for row in rows}
    session.close()
