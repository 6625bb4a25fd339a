"""The live page, in which the model runs in the browser: it computes what the package does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from safetensors.numpy import load

import vit_attention_widget as vaw
from live.build import build, scenes
from live.patterns import learned
from vit_attention_widget.pruning.share_left import heads_within

from .live_page import CHOOSE, PAGE, Live, opened
from .test_accessibility import AXE

pytestmark = pytest.mark.browser

SCENE = 4
STAR = vaw.demo.KINDS.index("star")
PRUNED = [(2, 0), (4, 1), (4, 3)]
CLOSE = 1e-4

LAYER = 3
SCENES = scenes(rounds=1)[:6]

ARRAYS = (
    "_maps", "_importance_data", "_importance_before", "_strength_data", "_strength_set",
    "_layer_decisions",
)  # fmt: skip


@pytest.fixture(scope="module")
def live(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    host = tmp_path_factory.mktemp("host")
    build(host / PAGE, SCENES, learned(SCENES[:3], seeds=1))
    with opened(host, chromium) as live:
        yield live


@pytest.fixture(scope="module")
def session() -> Iterator[vaw.Session]:
    """The same in Python: heads are pruned once the whole model is known."""
    pairs = [(scene.image, scene.label) for scene in SCENES]
    session = vaw.Session(
        vaw.demo.load_model(), SCENES[0].image, image_set=pairs, selected_image=SCENE, target=STAR
    )
    session.wait()
    session.pruned_heads = PRUNED
    session.method = "occlusion"
    session.measure_strength()
    session.measure_strength_of_set()
    session.read_out_layers()
    session.wait()
    session.method = "integrated_gradients"
    session.selected_layer = LAYER
    session.wait()
    session.compare_maps("classes", "legrad")
    session.wait()
    session.score_map()
    session.wait()
    session.score_compared()
    for order in ("taylor", "loss", "random"):
        session.draw_curve(order)
    session.wait()
    yield session
    session.close()


def _compared(live: Live, session: vaw.Session, name: str) -> None:
    """Each tensor to a ten-thousandth of its largest value."""
    expected, actual = load(getattr(session, name)), live.tensors(name)
    assert actual.keys() == expected.keys()
    for key, values in actual.items():
        largest = np.nanmax(np.abs(expected[key]))
        assert values.shape == expected[key].shape, key
        assert np.isnan(values).tolist() == np.isnan(expected[key]).tolist(), key
        assert np.nanmax(np.abs(values - expected[key])) <= CLOSE * largest, key


def test_tour_opens_on_the_first_visit(live: Live) -> None:
    expect(live.page.locator("[data-testid=tour]")).to_be_visible()
    assert live.page.evaluate("scrollY") == 0  # below the page's title, which says what it is
    live.page.reload()
    live.ready()
    expect(live.page.locator("[data-testid=tour]")).to_have_count(0)


def test_from_the_disk_it_says_why_it_stays_empty(live: Live, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto((live.folder / "index.html").as_uri())
    expect(page.locator("#waiting")).to_contain_text("opened from the disk")
    page.close()
    expect(live.page.locator("#waiting")).to_have_count(0)


def test_equals_python(live: Live, session: vaw.Session) -> None:
    live.select(selected_image=SCENE)
    live.until("live.session.traits._model_info.image_name.endsWith('4')")
    live.idle()
    live.select(target=STAR, method="occlusion")
    live.select(pruned_heads=PRUNED, _history={"pruned": PRUNED, "undo": [], "redo": []})
    live.select(method="integrated_gradients", selected_layer=LAYER)
    live.ask("strength")
    live.ask("strength_set")
    live.ask("layer_decisions")
    for name in ARRAYS:
        _compared(live, session, name)
    said, expected = live.trait("decision"), session.decision
    assert [row["name"] for row in said["rows"]] == [row["name"] for row in expected["rows"]]
    for row, wanted in zip(said["rows"], expected["rows"], strict=True):
        assert row["before"] == pytest.approx(wanted["before"], abs=CLOSE)
        assert row["after"] == pytest.approx(wanted["after"], abs=CLOSE)
    for name in ("target", "target_name", "follows_prediction"):
        assert said[name] == expected[name]
    assert live.trait("accuracy") == pytest.approx(session.accuracy)
    trace = session.trace
    assert trace is not None
    for layer in range(6):
        attention = live.page.evaluate(
            "(layer) => [...live.kernel.session.shown.attention(layer)]", layer
        )
        wanted = trace.attention(layer)[0].detach().numpy()
        np.testing.assert_allclose(np.reshape(attention, wanted.shape), wanted, atol=CLOSE)


def test_comparison_equals_python(live: Live, session: vaw.Session) -> None:
    live.ask("compare", of="classes", method="legrad")
    _compared(live, session, "_comparison_maps")
    said, expected = live.trait("_comparison"), session._comparison
    for name in ("of", "method", "names", "keys", "notes", "target", "total", "skipped"):
        assert said[name] == expected[name], name
    np.testing.assert_allclose(said["correlation"], expected["correlation"], atol=1e-3)


def test_faithfulness_equals_python(live: Live, session: vaw.Session) -> None:
    live.ask("score_map")
    live.idle()
    live.ask("score_compared")
    live.idle()
    said, expected = live.trait("faithfulness"), session.faithfulness
    assert said["asked"] == ""
    for name in ("method", "layer", "target", "by_class"):
        assert said["map"][name] == expected["map"][name]
    assert said["map"]["fractions"] == pytest.approx(expected["map"]["fractions"])
    for curve in ("insertion", "deletion"):
        for name, values in expected["map"][curve].items():
            assert said["map"][curve][name] == pytest.approx(values, abs=CLOSE), (curve, name)
    pairs = [(said["map"]["areas"], expected["map"]["areas"])]
    of_items = said["compared"]["areas"], expected["compared"]["areas"]
    for areas, wanted in [*pairs, *zip(*of_items, strict=True)]:
        assert areas.keys() == wanted.keys()
        for name, area in areas.items():
            assert area == pytest.approx(wanted[name], abs=CLOSE)


def _same_curve(live: Live, session: vaw.Session, order: str) -> None:
    curve, wanted = live.trait("curves")[order], session.curves[order]
    count = len(curve["values"])
    assert curve["order"] == [list(head) for head in wanted["order"]][: count - 1]
    assert curve["values"] == pytest.approx(wanted["values"][:count])
    for name in ("name", "metric"):
        assert curve[name] == wanted[name]
    assert curve["total"] == count - 1  # it has ended, wherever that was


def test_curve_equals_python(live: Live, session: vaw.Session) -> None:
    live.ask("curve", order="loss")
    live.idle()
    assert len(live.trait("curves")["loss"]["order"]) == 24
    _same_curve(live, session, "loss")


def test_patterns_equal_python(live: Live, session: vaw.Session) -> None:
    """Vectors are rounded to 8 bits before they are placed, so a few points move by a hair."""
    session.patterns = learned(SCENES[:3], seeds=1)
    session.place_heads()
    session.wait()
    live.ask("place_heads")
    expected, actual = load(session._patterns_here), live.tensors("_patterns_here")
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, atol=2e-3)
    study = session.studies.patterns
    for family, asked in (("patches", 50), ("class", 7)):
        about = {"family": family}
        assert live.answer("pattern_map", **about) == study.points(family)
        [(_, levels)] = load(live.answer("pattern_thumbnails", **about)).items()
        [(_, wanted)] = load(study.thumbnails(family)).items()
        np.testing.assert_allclose(levels.astype(int), wanted.astype(int), atol=1)
        [(_, levels)] = load(live.answer("pattern_at", index=asked, **about)).items()
        [(_, wanted)] = load(study.point(family, asked)).items()
        np.testing.assert_allclose(levels.astype(int), wanted.astype(int), atol=1)


def test_prunes_as_far_as_the_curve_may_fall(live: Live, session: vaw.Session) -> None:
    live.ask("prune_to", order="taylor", fall=20)
    live.idle()
    curve = session.curves["taylor"]
    count = heads_within(curve["values"], 0.8)
    assert count
    _same_curve(live, session, "taylor")
    assert live.trait("pruned_heads") == sorted(list(head) for head in curve["order"][:count])
    assert live.trait("decision")["pruned"] == live.trait("pruned_heads")
    assert live.trait("_history")["pruned"] == live.trait("pruned_heads")


def test_a_selection_comes_before_what_takes_long(live: Live, session: vaw.Session) -> None:
    """A curve goes on after it, and what a person stops waits."""
    label = "masking heads by random"
    live.ask("curve", order="random")
    live.until("live.session.traits.curves.random?.values.length > 1")
    version = live.trait("_version")
    live.page.evaluate(CHOOSE, {"target": 2})
    live.until(f"live.session.traits._version > {version}")
    assert len(live.trait("curves")["random"]["values"]) < 25
    live.until(f"live.session.traits.status.label === '{label}'")
    live.ask("cancel_job")
    assert live.trait("status")["paused"] == [label]
    live.ask("go_on")
    live.idle()
    assert len(live.trait("curves")["random"]["order"]) == 24
    _same_curve(live, session, "random")


def test_what_needs_python_says_so(live: Live) -> None:
    said = live.page.evaluate(
        "live.kernel.answer('save_model', {}).catch((error) => error.message)"
    )
    needs = "Needs Python: pip install vit-attention-widget."
    assert said == f"The smaller model is not written here. {needs}"
    assert not live.page.evaluate("live.kernel.follows({ selected_image: -1 })")
    live.select(method="daam")
    assert live.trait("status")["error"] is None


def test_accessible(live: Live) -> None:
    live.page.evaluate(f"() => {{ {AXE.read_text('utf-8')} }}")
    violations = live.page.evaluate(
        """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
          .map(({ id, nodes }) => `${id}: ${nodes[0].target.flat().at(-1)}`)"""
    )
    assert violations == []


def test_pruning_decides(live: Live) -> None:
    """How soon is measured by ``benchmarks/live.py``."""
    [(decided, alone)] = live.prune((3, 2))
    assert decided > alone > 0
    assert live.trait("decision")["rows"][0]["before"] != live.trait("decision")["rows"][0]["after"]


def test_a_drawing_is_looked_at(live: Live) -> None:
    page = live.page
    page.locator("#drawing summary").click()
    box = page.locator("#pad").bounding_box()
    assert box is not None
    corners = [(60, 60), (180, 60), (180, 180), (60, 180), (60, 60)]
    for i, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x, box["y"] + y)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    live.until("live.session.traits._model_info.image_name === 'drawing'")
    live.until("live.session.traits.decision.target_name === 'square'")
    live.idle()
    expect(page.locator("[data-testid=own-0]")).to_have_attribute("aria-pressed", "true")
    page.locator("[data-testid=set-2]").click()
    live.until("live.session.traits._brought.shown === -1")
    live.idle()
    live.select(selected_image=-1)
    live.until("live.session.traits._model_info.image_name === 'drawing'")
