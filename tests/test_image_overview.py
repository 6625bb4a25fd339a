"""All images at a glance: what they are laid out by, and that a click opens one everywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from reference import overview as literal
from reference.importance import leave_one_out
from safetensors.numpy import load
from test_session import PICTURE, tiny
from twins import agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.data.kept import KeptInputs
from vit_attention_widget.errors import ImageError, JobCancelled, ParameterError
from vit_attention_widget.overview.layout import arrange, vectors
from vit_attention_widget.session.image_set import ImageSet
from vit_attention_widget.session.lanes import Job, Lane

SCENES = [vaw.demo.scene(seed=seed) for seed in range(14)]
PAIRS = [(scene.image, scene.label) for scene in SCENES]


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=99).image, image_set=PAIRS)
    assert session.wait(60)
    yield session
    session.close()


# --- what is computed ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "vit-non-square"])
def test_against_the_literal_twin(name: str) -> None:
    pair = twins(name)
    inputs = pair.tiny.inputs(5)
    labels = [1, 3, 0, 1, 2]
    overview = vaw.image_overview(pair.model, list(zip(inputs, labels, strict=True)))
    values, _ = leave_one_out(pair.model, inputs, labels)
    agree(overview.importance.values, values["probability"])
    expected = literal.vectors(values["probability"])
    agree(torch.from_numpy(vectors(overview.importance.values)), expected, 1e-5)
    plane, ours = literal.plane(expected), overview.points.double()
    for axis in range(2):  # a component may point either way
        either = min((ours[:, axis] - s * plane[:, axis]).abs().max() for s in (1, -1))
        assert either < 1e-3
    probabilities = pair.model(inputs).softmax(-1).max(-1)
    assert overview.predicted.tolist() == probabilities.indices.tolist()
    agree(overview.probability, probabilities.values)
    assert overview.labels is not None
    assert overview.labels.tolist() == labels


def test_one_seed_gives_one_picture() -> None:
    model = vaw.demo.load_model()
    first, again = (vaw.image_overview(model, PAIRS, metric="taylor", seed=3) for _ in range(2))
    assert first.layout == "t-SNE"
    assert torch.equal(first.points, again.points)
    assert float(first.points.abs().max()) == pytest.approx(1)


@pytest.mark.parametrize("size", [5, 20])
def test_planted_groups_separate(size: int) -> None:
    rng = np.random.default_rng(0)
    group = np.arange(2 * size) % 2
    importance = 0.01 * rng.standard_normal((2 * size, 4, 3))
    importance[group == 1, 2, 1] += 0.5
    importance[group == 0, 0, 0] -= 0.5
    points, _ = arrange(vectors(torch.from_numpy(importance)), 0, lambda _: None)
    far = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(far, np.inf)
    assert (group[far.argmin(1)] == group).all()


def test_without_labels_the_prediction_is_explained() -> None:
    overview = vaw.image_overview(
        vaw.demo.load_model(), [s.image for s in SCENES[:4]], metric="taylor"
    )
    assert overview.labels is None
    assert torch.equal(overview.importance.labels, overview.predicted)
    assert "label" not in overview.to_dataframe()
    labelled = vaw.image_overview(vaw.demo.load_model(), PAIRS[:4], metric="taylor").to_dataframe()
    assert labelled["label"].tolist() == [scene.label for scene in SCENES[:4]]
    assert list(labelled.index) == labelled["image"].tolist()


@pytest.mark.parametrize("number", [1, 2, 15])
def test_images_that_nothing_tells_apart_stand_in_order(number: int) -> None:
    overview = vaw.image_overview(
        vaw.demo.load_model(), [SCENES[0].image] * number, metric="taylor"
    )
    assert overview.layout == "in order"
    assert len(overview.points.unique(dim=0)) == len(overview) == number
    assert float(overview.points.abs().max()) <= 1


def test_two_images_are_far_apart() -> None:
    overview = vaw.image_overview(vaw.demo.load_model(), PAIRS[:2], metric="taylor")
    assert sorted(overview.points[:, 0].tolist()) == [-1, 1]


def test_layers_may_differ_in_heads() -> None:
    small = vaw.prune_heads(vaw.demo.load_model(), {0: [1]})
    overview = vaw.image_overview(small, PAIRS[:3], metric="taylor")
    assert overview.points.isfinite().all()


def test_without_opentsne_it_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    overview = vaw.image_overview(vaw.demo.load_model(), PAIRS, metric="taylor")
    assert overview.layout == "principal components"
    assert float(overview.points.abs().max()) == pytest.approx(1)


def test_progress_rises_to_one_and_can_cancel() -> None:
    seen: list[float] = []
    model = vaw.demo.load_model()
    vaw.image_overview(model, PAIRS, progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert 0.99 < seen[-1] <= 1

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.5:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        vaw.image_overview(model, PAIRS, metric="taylor", progress=stop)


def test_a_data_set_that_breaks_keeps_what_was_measured() -> None:
    def images() -> Iterator[Any]:
        yield from PAIRS[:9]
        raise OSError("the disk is gone")

    with pytest.warns(UserWarning, match="8 images only"):
        overview = vaw.image_overview(vaw.demo.load_model(), images(), metric="taylor")
    assert len(overview) == 8
    assert isinstance(overview.importance.error, OSError)


@pytest.mark.parametrize(
    ("images", "options", "error"),
    [
        (PAIRS, {"metric": "luck"}, ParameterError),
        (PAIRS, {"max_batch": 0}, ParameterError),
        ([], {}, ImageError),
        (["there-is-no-such.jpg"], {}, ImageError),
    ],
)
def test_obvious_mistakes(images: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        vaw.image_overview(vaw.demo.load_model(), images, **options)


def test_a_model_without_classes_is_refused() -> None:
    model = timm.create_model("test_vit", num_classes=0).eval()
    with pytest.raises(ParameterError, match="no classes"):
        vaw.image_overview(model, PICTURE)
    session = vaw.Session(model, PICTURE, image_set=[PICTURE])
    with pytest.raises(ParameterError, match="no classes"):
        session.lay_out_images()
    session.show_images()
    assert session.wait(60)
    assert session._thumbnails
    session.close()


# --- in a session --------------------------------------------------------------------------------


def test_images_are_shown_before_they_are_measured(session: vaw.Session) -> None:
    assert session._overview == {}
    session.show_images()
    assert session.wait(60)
    small = load(session._thumbnails)["thumbnails"]
    assert small.shape == (14, 48, 48, 3)
    assert small.dtype == np.uint8
    expected = np.asarray(Image.fromarray(SCENES[3].image).resize((48, 48)), int)
    assert np.abs(small[3] - expected).mean() < 4
    assert session._overview["labels"] == [scene.label for scene in SCENES]
    assert session._overview["points"] == []
    assert session.image_overview is None


def test_the_images_are_laid_out(session: vaw.Session) -> None:
    partly: list[int] = []
    session.observe(lambda change: partly.append(change["new"]["done"]), names="_overview")
    session.lay_out_images("taylor")
    assert session.wait(60)
    overview, expected = (
        session._overview,
        vaw.image_overview(session.model, PAIRS, metric="taylor"),
    )
    np.testing.assert_allclose(overview["points"], expected.points, atol=1e-3)
    assert overview["predicted"] == expected.predicted.tolist()
    assert (overview["metric"], overview["measuring"], overview["done"]) == ("taylor", "", 14)
    assert session.image_overview is not None
    assert session.image_overview.layout == overview["layout"] == "t-SNE"
    assert partly == sorted(partly)


def test_opening_an_image_links_all_widgets(session: vaw.Session) -> None:
    session.pruned_heads = [(0, 1)]
    explorer, grid = vaw.Explorer(session=session), vaw.HeadImportanceGrid(session=session)
    session.lay_out_images("taylor")
    assert session.wait(60)
    laid_out, thumbnails = session._overview, session._thumbnails
    grid.set_state({"selected_image": 5})  # as the browser does
    assert session.wait(60)
    assert explorer.selected_image == session.selected_image == 5
    assert explorer._model_info["image_name"] == "image 5"
    assert explorer._picture == session.studies.images.picture(5)
    assert session.pruned_heads == [(0, 1)]
    expected = vaw.trace(session.model, SCENES[5].image, gradients=False)
    torch.testing.assert_close(session._context.whole.logits, expected.logits)
    assert session._overview is laid_out
    assert session._thumbnails is thumbnails
    explorer.close()
    grid.close()


def test_the_given_image_comes_back(session: vaw.Session) -> None:
    picture, name = session._picture, session._model_info["image_name"]
    session.selected_image = 2
    assert session._picture != picture
    session.selected_image = -1
    assert session.wait(60)
    assert session._picture == picture
    assert session._model_info["image_name"] == name
    session.selected_image = 2
    session.image = SCENES[0].image
    assert session.selected_image == -1
    assert session.wait(60)
    own = session._picture
    session.selected_image = 3
    session.selected_image = -1  # back to the image given last
    assert session._picture == own
    assert session.wait(60)


def test_another_model_opens_the_same_image_and_forgets_the_layout(session: vaw.Session) -> None:
    session.lay_out_images("taylor")
    session.selected_image = 4
    assert session.wait(60)
    session.model = vaw.prune_heads(session.model, {0: [0]})
    assert session.wait(60)
    assert session.selected_image == 4
    assert session._overview == {}
    assert session._thumbnails == b""
    assert session.image_overview is None
    expected = vaw.trace(session.model, SCENES[4].image, gradients=False)
    torch.testing.assert_close(session.trace.logits, expected.logits)


def test_an_image_may_be_selected_from_the_start() -> None:
    images = [PICTURE, PICTURE[:, ::-1].copy()]
    session = vaw.Session(tiny(), PICTURE, image_set=images, selected_image=1)
    assert session.wait(60)
    expected = vaw.trace(session.model, images[1], gradients=False)
    torch.testing.assert_close(session.trace.logits, expected.logits)
    session.close()


def hold(lane: Lane, slot: str) -> Callable[[], None]:
    """Keep a lane busy with a job of a slot until it is let go."""
    started, go_on = threading.Event(), threading.Event()

    def work(_: object) -> None:
        started.set()
        go_on.wait(10)

    lane.submit(Job(slot, "", work))
    assert started.wait(10)
    return go_on.set


def test_the_layout_goes_on_while_another_image_is_opened(session: vaw.Session) -> None:
    release = hold(session._context.lanes.longest, "other")
    session.lay_out_images("taylor")
    session.selected_image = 3
    assert session._overview["measuring"] == "taylor"
    release()
    assert session.wait(60)
    assert session._overview["metric"] == "taylor"
    assert session.selected_image == 3


def test_cancelling_keeps_what_was_there(session: vaw.Session) -> None:
    session.lay_out_images("taylor")
    assert session.wait(60)
    points = session._overview["points"]
    release = hold(session._context.lanes.longest, "other")
    session.lay_out_images("probability")
    assert session._overview["measuring"] == "probability"
    session.cancel()
    release()
    assert session.wait(60)
    assert session._overview["measuring"] == ""
    assert session._overview["points"] == points
    assert session._overview["metric"] == "taylor"
    assert session.status["state"] == "idle"


def test_the_latest_metric_wins(session: vaw.Session) -> None:
    for metric in ("probability", "taylor", "jsd", "taylor"):
        session.lay_out_images(metric)
    assert session.wait(60)
    assert session._overview["metric"] == "taylor"
    assert session._overview["measuring"] == ""


def test_images_opened_quickly_end_with_the_last(session: vaw.Session) -> None:
    for index in (3, 8, -1, 11):
        session.selected_image = index
    assert session.wait(60)
    expected = vaw.trace(session.model, SCENES[11].image, gradients=False)
    torch.testing.assert_close(session.trace.logits, expected.logits)


@pytest.mark.parametrize("value", [14, -2, "a", None, True, 1.5])
def test_images_that_do_not_exist(session: vaw.Session, value: Any) -> None:
    with pytest.raises(ParameterError, match="no image"):
        session.selected_image = value
    assert session.selected_image == -1
    with pytest.raises(ParameterError, match="luck"):
        session.lay_out_images("luck")


def test_without_a_set_the_message_says_what_to_do() -> None:
    session = vaw.Session(tiny(), PICTURE)
    for wrong in (
        lambda: session.lay_out_images(),
        lambda: session.show_images(),
        lambda: setattr(session, "selected_image", 0),
    ):
        with pytest.raises(ParameterError, match="image_set"):
            wrong()
    session.close()


def test_a_selected_image_that_cannot_be_left_stays(session: vaw.Session) -> None:
    session.selected_image = 1
    session._context.own_image = "there-is-no-such.jpg"
    with pytest.raises(ImageError):
        session.selected_image = -1
    assert session.selected_image == 1
    assert session.wait(60)


def test_requests_of_the_browser(session: vaw.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = vaw.Explorer(session=session)
    replies: list[tuple[Any, Any]] = []
    monkeypatch.setattr(widget, "send", lambda c, b=None: replies.append((c, b)))
    asked = [("images", {}), ("overview", {"metric": "taylor"}), ("image", {"index": 3})]
    for i, (method, params) in enumerate(asked):
        widget._handle_custom_msg({"id": f"{i}", "method": method, "params": params}, [])
    assert session.wait(60)
    assert all(content["ok"] for content, _ in replies)
    assert next(b for c, b in replies if c["id"] == "2") == [session.studies.images.picture(3)]
    assert len(widget._overview["points"]) == 14
    replies.clear()
    wrong = [("overview", {"metric": "x"}), ("image", {"index": 14}), ("image", {})]
    for method, params in wrong:
        widget._handle_custom_msg({"id": "w", "method": method, "params": params}, [])
    assert ["error" in content for content, _ in replies] == [True] * 3
    widget.close()


def test_names_come_from_files() -> None:
    def names_of(images: object, count: int) -> list[str]:
        return ImageSet(images, KeptInputs([(torch.zeros(3, 8, 8), None)] * count)).names

    picture = Image.new("RGB", (8, 8))
    assert names_of([PICTURE, picture], 2) == []
    assert names_of(["a/b.png", (Path("c.jpg"), 1), {"image": picture}], 3) == [
        "b.png",
        "c.jpg",
        "",
    ]
    assert names_of(iter(["a.png"]), 1) == []


@pytest.mark.parametrize(("number", "side"), [(2, 48), (86, 48), (400, 22), (401, None)])
def test_thumbnails_shrink_for_many_images(number: int, side: int | None) -> None:
    session = vaw.Session(tiny(), PICTURE, image_set=torch.zeros(number, 3, 160, 160))
    session.show_images()
    assert session.wait(60)
    if side is None:
        assert session._thumbnails == b""
    else:
        assert load(session._thumbnails)["thumbnails"].shape == (number, side, side, 3)
    assert len(session._thumbnails) < 601_000
    session.close()
