"""What a session finds out about heads: all metrics, parts of a head, curves, live accuracy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import BY_NAME

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.pruning.share_left import heads_within
from vit_attention_widget.pruning.top1 import accuracy

TINY = BY_NAME["vit"]
LABELLED = [(image, label % 5) for label, image in enumerate(TINY.inputs(6, torch.float32))]


@pytest.fixture
def model() -> torch.nn.Module:
    return TINY.build(torch.float32)


@pytest.fixture
def session(model: torch.nn.Module) -> Iterator[vaw.Session]:
    session = vaw.Session(model, TINY.inputs(1, torch.float32), image_set=LABELLED)
    assert session.wait(60)
    yield session
    session.close()


def tables(session: vaw.Session) -> dict[str, np.ndarray]:
    from safetensors.numpy import load

    return load(session._importance_data)


def test_all_metrics_come_at_once(session: vaw.Session, model: torch.nn.Module) -> None:
    metrics = ["probability", "jsd", "class_token_cosine", "loss", "taylor"]
    expected = vaw.head_importance(model, TINY.inputs(1, torch.float32), metric=metrics)
    by_metric = tables(session)
    assert sorted(by_metric) == sorted(metrics)
    for metric in metrics:
        np.testing.assert_allclose(by_metric[metric], expected[metric][0], atol=1e-5)


def test_another_metric_needs_no_new_runs(session: vaw.Session) -> None:
    runs = 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    session.model.blocks[0].register_forward_pre_hook(count)
    seen = []
    session.observe(lambda change: seen.append(change["new"]), "importance")
    session.metric = "jsd"
    assert session.wait(10)
    assert runs == 0
    np.testing.assert_array_equal(seen[-1], tables(session)["jsd"])


def test_a_toggled_head_runs_only_the_layers_above(session: vaw.Session) -> None:
    runs = [0, 0, 0]
    for layer, block in enumerate(session.model.blocks):

        def count(_m: object, args: tuple[torch.Tensor], layer: int = layer) -> None:
            runs[layer] += len(args[0]) == 1  # not the batches of leaving one out

        block.norm1.register_forward_pre_hook(count)
    session._context.image_set = None
    session._context.lanes.long.close()  # what follows in the background has runs of its own
    for heads in ([(0, 0)], []):  # hooks that came are tried once, whether they change the logits
        session.pruned_heads = heads
        assert session._context.lanes.quick.wait(10)
    runs[:] = [0, 0, 0]
    session.pruned_heads = [(2, 1)]
    assert session._context.lanes.quick.wait(10)
    assert runs[:2] == [0, 0]
    session.pruned_heads = [(1, 0), (2, 1)]
    assert session._context.lanes.quick.wait(10)
    assert runs[0] == 0
    assert session.trace.head_mask == {1: (0,), 2: (1,)}
    before = list(runs)
    session.pruned_heads = [(1, 0)]
    assert session._context.lanes.quick.wait(10)
    assert [now - then for now, then in zip(runs, before, strict=True)][:2] == [0, 0]


def test_live_accuracy(session: vaw.Session, model: torch.nn.Module) -> None:
    whole = accuracy(model, LABELLED)
    assert session.accuracy == {"before": whole, "after": None, "count": 6}
    session.pruned_heads = {0: [0, 1], 1: [1]}
    assert session.wait(60)
    after = accuracy(model, LABELLED, head_mask={0: [0, 1], 1: [1]})
    assert session.accuracy == {"before": whole, "after": after, "count": 6}


def test_accuracy_by_hand(model: torch.nn.Module) -> None:
    images = torch.stack([image for image, _ in LABELLED])
    labels = [label for _, label in LABELLED]
    with torch.no_grad(), vaw.masked_heads(model, {1: [0]}):
        expected = float((model(images).argmax(-1) == torch.tensor(labels)).float().mean())
    assert vaw.accuracy(model, LABELLED, head_mask={1: [0]}) == pytest.approx(expected)
    assert vaw.accuracy(model, images, labels, head_mask={1: [0]}) == pytest.approx(expected)
    with pytest.raises(ParameterError, match="no labels"):
        vaw.accuracy(model, images)


def test_parts_of_a_head(session: vaw.Session, model: torch.nn.Module) -> None:
    session.prune_partly(1, 0)
    assert session.wait(10)
    expected = vaw.partial_pruning(model, TINY.inputs(1, torch.float32), layer=1, head=0)
    parts = session.partial
    assert (parts["layer"], parts["head"]) == (1, 0)
    assert [row["mode"] for row in parts["rows"]] == list(expected.modes)
    for i, row in enumerate(parts["rows"]):
        assert row["probability"] == pytest.approx(float(expected.probability[i, 0]), abs=1e-5)
    json.dumps(parts)
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    assert session.partial == {}  # it was about the whole model
    with pytest.raises(ParameterError, match="no head 2"):
        session.prune_partly(0, 2)


def test_curves(session: vaw.Session, model: torch.nn.Module) -> None:
    session.draw_curve("taylor")
    assert session.wait(60)
    session.draw_curve("random")
    assert session.wait(60)
    assert sorted(session.curves) == ["random", "taylor"]
    expected = vaw.pruning_curve(model, LABELLED, order="taylor", metric="accuracy")
    assert session.curves["taylor"]["values"] == pytest.approx(expected.values)
    assert session.curves["taylor"]["metric"] == "accuracy"
    assert session.curves["taylor"]["order"] == list(expected.order)
    json.dumps(session.curves)
    session.pruned_heads = [(0, 0)]
    assert session.wait(60)
    assert len(session.curves) == 2  # they start from the whole model, so they stay
    with pytest.raises(ParameterError, match="'best'"):
        session.draw_curve("best")


def test_curves_of_one_image_follow_its_class(model: torch.nn.Module) -> None:
    session = vaw.Session(model, TINY.inputs(1, torch.float32), 1)
    session.draw_curve("random")
    assert session.wait(60)
    assert session.curves["random"]["metric"] == "probability"
    session.target = 3
    assert session.wait(60)
    assert session.curves == {}
    session.close()


def test_a_curve_can_be_cancelled(session: vaw.Session) -> None:
    session.draw_curve("greedy")
    session.cancel()
    assert session.wait(60)
    assert len(session.curves.get("greedy", {"values": []})["values"]) < 7
    session.draw_curve("random")
    assert session.wait(60)
    assert len(session.curves["random"]["values"]) == 7


def test_the_pruned_model(session: vaw.Session, model: torch.nn.Module) -> None:
    session.pruned_heads = [(0, 1), (2, 0)]
    small = session.pruned_model()
    assert vaw.pruning_of(small).cut == {0: (1,), 2: (0,)}
    inputs = TINY.inputs(2, torch.float32)
    with torch.no_grad(), vaw.masked_heads(model, {0: [1], 2: [0]}):
        expected = model(inputs)
    torch.testing.assert_close(small(inputs), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "at least one"),
        ([LABELLED[0], (LABELLED[1][0], None)], "others have none"),
        ([(TINY.inputs(1)[0], 9)], "9"),
    ],
)
def test_sets_that_make_no_sense(model: torch.nn.Module, images: object, words: str) -> None:
    with pytest.raises(vaw.errors.VitAttentionError, match=words):
        vaw.Session(model, TINY.inputs(1, torch.float32), image_set=images)


def test_a_set_without_labels_is_explained_by_its_predicted_classes(
    model: torch.nn.Module,
) -> None:
    images = [image for image, _ in LABELLED]
    session = vaw.Session(model, TINY.inputs(1, torch.float32), image_set=images)
    session.draw_curve("jsd")
    assert session.wait(60)
    assert session.accuracy == {}
    expected = vaw.pruning_curve(model, torch.stack(images), order="jsd")
    assert session.curves["jsd"]["metric"] == "probability"
    assert session.curves["jsd"]["values"] == pytest.approx(expected.values, abs=1e-5)
    session.close()


def test_every_head_may_go(session: vaw.Session) -> None:
    session.pruned_heads = [(layer, head) for layer in range(3) for head in range(2)]
    assert session.wait(60)
    assert session.status["error"] is None
    assert np.isnan(session.importance).all()
    assert len(session.top5) == 5
    assert session.accuracy["after"] is not None


def test_another_model_prepares_the_set_anew(session: vaw.Session) -> None:
    other = TINY.build(torch.float32)
    with torch.no_grad():
        other.head.weight.neg_()
    session.model = other
    assert session.wait(60)
    assert session.accuracy["before"] == vaw.accuracy(other, LABELLED)


def test_the_browser_asks_for_parts_and_curves(
    model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = vaw.HeadImportanceGrid(model, TINY.inputs(1, torch.float32))
    widget.wait(60)
    sent: list[Any] = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append(content))

    def ask(method: str, **params: object) -> Any:
        message = {"id": f"{method} {len(sent)}", "method": method, "params": params}
        widget._handle_custom_msg(message, [])
        assert widget.wait(60)
        return sent[-1]

    assert ask("partial", layer=0, head=1)["ok"]
    assert ask("curve", order="random")["ok"]
    assert widget.partial["head"] == 1
    assert len(widget.curves["random"]["values"]) == 7
    assert "head" in ask("partial", layer=0, head=2)["error"]["message"]
    assert "order" in ask("curve", order="best")["error"]["message"]
    seen: list[np.ndarray] = []
    widget.observe(lambda change: seen.append(change["new"]), "importance")
    widget.metric = "loss"
    np.testing.assert_array_equal(seen[-1], widget.session.importance)
    widget.close()


def test_strength_is_measured_when_it_is_asked_for(
    session: vaw.Session, model: torch.nn.Module
) -> None:
    from safetensors.numpy import load

    assert session.strength is None
    session.measure_strength()
    assert session.wait(60)
    inputs = TINY.inputs(1, torch.float32)
    expected = vaw.attention_strength(vaw.trace(model, inputs))
    loaded = load(session._strength_data)
    np.testing.assert_allclose(loaded["entropy"], expected.entropy[0], atol=1e-5)
    np.testing.assert_allclose(loaded["class_to_patches"], expected.class_to_patches[0], atol=1e-5)
    session.measure_strength_of_set()
    assert session.wait(60)
    of_set = load(session._strength_set)["entropy"]
    images = torch.stack([image for image, _ in LABELLED])
    expected = vaw.attention_strength(vaw.trace(model, images))
    np.testing.assert_allclose(of_set, expected.entropy, atol=1e-5)
    session._context.image_set = None
    with pytest.raises(ParameterError, match="no set"):
        session.measure_strength_of_set()


def test_heads_are_pruned_until_too_little_is_left(
    session: vaw.Session, model: torch.nn.Module
) -> None:
    curve = vaw.pruning_curve(model, LABELLED, order="taylor", metric="accuracy")
    values = curve.values.tolist()
    keep = 0.6
    allowed = next(n for n, v in enumerate([*values, -1]) if v < keep * values[0] - 1e-9) - 1
    session.prune_to(keep, order="taylor")
    assert session.wait(60)
    assert session.pruned_heads == sorted(curve.order[:allowed])
    drawn = session.curves["taylor"]["values"]
    assert drawn == pytest.approx(values[: len(drawn)])
    assert len(drawn) == min(len(values), allowed + 2)
    assert session.curves["taylor"]["total"] == len(drawn) - 1  # it is finished
    if allowed:
        session.undo()
        assert session.pruned_heads == []
    with pytest.raises(ParameterError, match="keep is 3"):
        session.prune_to(3)


@pytest.mark.parametrize("form", ["safetensors", pytest.param("ONNX", marks=pytest.mark.slow)])
def test_the_pruned_model_is_saved_where_python_runs(
    session: vaw.Session, model: torch.nn.Module, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, form: Any,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="No head is pruned"):
        session.save_pruned_model()
    session.pruned_heads = [(0, 1), (2, 0)]
    assert session.wait(60)
    for name in ("", "-2")[: 2 if form == "safetensors" else 1]:
        session.save_pruned_model(file_format=form)
        assert session.wait(120)
        assert not session.status["error"], session.status
        assert session.saved_model is not None
        assert session.saved_model.parent == tmp_path.resolve()
        assert session.saved_model.stem.endswith(f"without-2-heads{name}")
    inputs = TINY.inputs(3, torch.float32)
    with torch.no_grad():
        expected = session.pruned_model()(inputs)
        if form == "ONNX":
            runtime = pytest.importorskip("onnxruntime").InferenceSession(str(session.saved_model))
            (logits,) = runtime.run(None, {"images": inputs.numpy()})
            saved = torch.from_numpy(logits)
        else:
            saved = vaw.load_pruned(TINY.build(torch.float32), session.saved_model)(inputs)
    torch.testing.assert_close(saved, expected, rtol=1e-4, atol=1e-4)
    session.pruned_heads = []
    assert session.wait(60)
    assert session.saved_model is None


def test_a_fall_of_shares_is_counted_from_the_first_value() -> None:
    assert heads_within([0.8, 0.79, 0.7, 0.79], 0.95) == 1
    assert heads_within([0.8, 0.76], 0.95) is None  # just that much
    assert heads_within([-10, -10.4, -9.6, -11], 0.95, either_way=True) == 2
    assert heads_within([0.8, 0.1], 0.95) == 0
