"""Importance over many images: lists, data sets, loaders that break, statistics, ways out."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from models import BY_NAME
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

import vit_attention_widget as vaw
from vit_attention_widget.errors import JobCancelled, ParameterError, TargetError
from vit_attention_widget.importance import head_ablation

COUNT = 7
LABELS = torch.tensor([0, 1, 1, 2, 3, 0, 1])
TINY = BY_NAME["vit"]
METRICS = ["probability", "loss", "accuracy", "jsd", "taylor"]


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return TINY.build()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return TINY.inputs(COUNT)


@pytest.fixture(scope="module")
def whole(model: torch.nn.Module, images: Tensor) -> vaw.HeadImportance:
    return vaw.head_importance(model, images, LABELS, metric=METRICS)


def same(result: vaw.HeadImportance, expected: vaw.HeadImportance) -> None:
    assert len(result) == len(expected)
    for metric in result.metrics:
        torch.testing.assert_close(result[metric], expected[metric], rtol=0, atol=1e-12)
    assert result.labels is not None
    assert expected.labels is not None
    assert result.labels.tolist() == expected.labels.tolist()


class Pairs(Dataset):
    def __init__(self, images: Tensor, as_dict: bool = False) -> None:
        self.images, self.as_dict = images, as_dict

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> object:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self.as_dict:
            return {"image": self.images[index], "label": int(LABELS[index])}
        return self.images[index], int(LABELS[index])


def test_any_way_of_giving_many_images(
    model: torch.nn.Module, images: Tensor, whole: vaw.HeadImportance
) -> None:
    ways = {
        "list": (list(images), LABELS.tolist()),
        "loader": (DataLoader(TensorDataset(images, LABELS), batch_size=3), None),
        "list loader": ([(images[:4], LABELS[:4]), (images[4:], LABELS[4:])], None),
        "data set": (Pairs(images), None),
        "pairs": (list(zip(images, LABELS.tolist(), strict=True)), None),
        "mappings": (Pairs(images, as_dict=True), None),
        "generator": (((i, y) for i, y in zip(images, LABELS, strict=True)), None),
    }
    for name, (given, target) in ways.items():
        importance = vaw.head_importance(model, given, target, metric=METRICS, max_batch=5)
        assert importance.error is None, name
        same(importance, whole)


def test_without_labels_each_image_has_its_predicted_class(
    model: torch.nn.Module, images: Tensor
) -> None:
    loader = DataLoader(TensorDataset(images), batch_size=2)
    importance = vaw.head_importance(model, loader, metric="probability")
    expected = vaw.head_importance(model, images, metric="probability")
    same(importance, expected)
    fixed = vaw.head_importance(model, loader, 2, metric="probability")
    assert fixed.labels is not None
    assert fixed.labels.tolist() == [2] * COUNT


def test_pictures_go_through_the_models_preprocessing(model: torch.nn.Module) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 255, (40, 50, 3), dtype=np.uint8) for _ in range(3)]
    pictures = [Image.fromarray(array) for array in arrays]
    expected = vaw.head_importance(model, arrays, metric="jsd")
    same(vaw.head_importance(model, iter(pictures), metric="jsd"), expected)
    labelled = [(picture, 1) for picture in pictures]
    same(
        vaw.head_importance(model, labelled, metric="jsd"),
        vaw.head_importance(model, arrays, 1, metric="jsd"),
    )


# --- statistics ----------------------------------------------------------------------------------


def test_statistics(whole: vaw.HeadImportance) -> None:
    values = whole["loss"].numpy()
    np.testing.assert_allclose(whole.mean("loss"), values.mean(0))
    low, high = whole.interval(0.95, "loss")
    half = 1.959964 * values.std(0, ddof=1) / np.sqrt(COUNT)
    np.testing.assert_allclose(low, values.mean(0) - half, rtol=1e-6)
    np.testing.assert_allclose(high, values.mean(0) + half, rtol=1e-6)
    best = whole.ranking("loss")[0]
    assert whole.mean("loss")[best] == whole.mean("loss").max()
    assert len(set(whole.ranking())) == 6


def test_one_image_has_no_interval(model: torch.nn.Module, images: Tensor) -> None:
    low, high = vaw.head_importance(model, images[:1]).interval()
    assert low.isnan().all()
    assert high.isnan().all()


def test_by_class(whole: vaw.HeadImportance, model: torch.nn.Module, images: Tensor) -> None:
    classes = whole.by_class()
    assert sorted(classes) == [0, 1, 2, 3]
    same(classes[1], vaw.head_importance(model, images[LABELS == 1], 1, metric=METRICS))
    assert sum(len(one) for one in classes.values()) == COUNT


def test_the_mean_of_accuracy_is_the_fall_of_the_accuracy(
    whole: vaw.HeadImportance, model: torch.nn.Module, images: Tensor
) -> None:
    def accuracy() -> float:
        with torch.no_grad():
            return float((model(images).argmax(-1) == LABELS).double().mean())

    before = accuracy()
    for layer in range(3):
        for head in range(2):
            with vaw.masked_heads(model, {layer: [head]}):
                after = accuracy()
            assert whole.mean("accuracy")[layer, head] == pytest.approx(before - after)


# --- ways out ------------------------------------------------------------------------------------


def test_tables(whole: vaw.HeadImportance, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("xarray")
    frame = whole.to_dataframe()
    assert list(frame.columns) == ["image", "layer", "head", *METRICS]
    assert len(frame) == COUNT * 6
    data = whole.to_xarray()
    assert data.jsd.dims == ("image", "layer", "head")
    assert data.jsd.sel(image=2, layer=1, head=0).item() == whole["jsd"][2, 1, 0].item()
    assert data.label.values.tolist() == LABELS.tolist()
    whole.to_csv(tmp_path / "heads.csv")
    with open(tmp_path / "heads.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[8]["loss"]) == frame.loss[8]


@pytest.mark.parametrize("kind", ["grid", "line"])
def test_pictures(whole: vaw.HeadImportance, kind: str, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = whole.plot(metric="loss", kind=kind)
    for ending in ("png", "svg"):
        axes.figure.savefig(tmp_path / f"heads.{ending}")
        assert (tmp_path / f"heads.{ending}").stat().st_size > 1000
    if kind == "line":  # x = 1 + H l + h
        x, y = axes.lines[0].get_data()
        assert list(x) == list(range(7))
        assert y[1 + 2 * 2 + 1] == pytest.approx(float(whole.mean("loss")[2, 1]))
    with pytest.raises(ParameterError, match="'pie'"):
        whole.plot(kind="pie")


# --- what breaks ---------------------------------------------------------------------------------


def breaking(images: Tensor, after: int) -> Iterator[tuple[Tensor, int]]:
    for i in range(after):
        yield images[i], int(LABELS[i])
    raise OSError("the disk is gone")


def test_a_loader_that_raises_in_the_middle(
    model: torch.nn.Module, images: Tensor, whole: vaw.HeadImportance
) -> None:
    with pytest.warns(UserWarning, match="4 images only.*OSError.*the disk is gone"):
        importance = vaw.head_importance(model, breaking(images, 5), metric="loss", max_batch=4)
    assert isinstance(importance.error, OSError)
    torch.testing.assert_close(importance.values, whole["loss"][:4], rtol=0, atol=1e-12)


def test_a_loader_that_raises_at_once(model: torch.nn.Module, images: Tensor) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        vaw.head_importance(model, breaking(images, 0))


def test_labels_out_of_range(model: torch.nn.Module, images: Tensor) -> None:
    with pytest.raises(TargetError, match=r"class 9.*0 to 4"):
        vaw.head_importance(model, [(images[0], 9)])
    pairs = [(images[0], 1), (images[1], 2), (images[2], 9)]
    with pytest.warns(UserWarning, match="2 images only.*class 9"):
        importance = vaw.head_importance(model, pairs, max_batch=2)
    assert len(importance) == 2


def test_cancel_keeps_what_is_done(
    model: torch.nn.Module, images: Tensor, whole: vaw.HeadImportance
) -> None:
    kept: list[vaw.HeadImportance] = []

    def stop(fraction: float, label: str) -> None:
        if fraction > 0.5:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        kept.extend(
            vaw.head_importance_steps(
                model, images, LABELS, metric="loss", max_batch=2, progress=stop
            )
        )
    known = ~kept[-1].values.isnan()
    assert known.sum() > 12
    expected = whole["loss"][: len(kept[-1])]
    torch.testing.assert_close(kept[-1].values[known], expected[known], rtol=0, atol=1e-12)


def test_progress_rises_to_one_over_all_images(model: torch.nn.Module, images: Tensor) -> None:
    seen: list[float] = []
    vaw.head_importance(model, images, max_batch=4, progress=lambda f, _: seen.append(f))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "target", "words"),
    [
        ([{"picture": 1}], None, "'picture'.*`image`"),
        (iter([torch.zeros(3, 32, 32)]), [1], "one per image beside a data set"),
    ],
)
def test_sets_that_make_no_sense(
    model: torch.nn.Module, given: object, target: object, words: str
) -> None:
    with pytest.raises(ParameterError, match=words):
        vaw.head_importance(model, given, target=target)


@pytest.mark.parametrize("given", [[], iter([]), DataLoader(TensorDataset(torch.zeros(0, 3)))])
def test_no_images(model: torch.nn.Module, given: object) -> None:
    for ask in (vaw.head_importance, vaw.pruning_curve, vaw.accuracy):
        with pytest.raises(vaw.errors.ImageError, match="at least one"):
            ask(model, given)


def test_too_little_memory_halves_the_batch(
    model: torch.nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = vaw.head_importance(model, images[:1], metric="jsd")
    run, sizes = head_ablation._without, []

    def scarce(trace: vaw.Trace, layer: int, heads: list[int]) -> object:
        sizes.append(len(heads))
        if len(heads) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(trace, layer, heads)

    monkeypatch.setattr(head_ablation, "_without", scarce)
    importance = vaw.head_importance(model, images[:1], metric="jsd")
    assert sizes == [2, 1, 1, 1, 1, 1, 1]  # half of it from the first failure on
    torch.testing.assert_close(importance.values, expected.values, rtol=0, atol=1e-12)


def test_too_little_memory_for_the_images_halves_them(
    model: torch.nn.Module, images: Tensor, whole: vaw.HeadImportance
) -> None:
    most = 2

    def scarce(module: torch.nn.Module, args: tuple[Tensor]) -> None:
        if len(args[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    tight = TINY.build()
    tight.patch_embed.register_forward_pre_hook(scarce)
    same(vaw.head_importance(tight, images, LABELS, metric=METRICS), whole)


def test_another_error_is_not_taken_for_it(
    model: torch.nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(head_ablation, "_without", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        vaw.head_importance(model, images[:1])


def test_nan_without_a_head_is_an_error() -> None:
    model, inputs = TINY.build(), TINY.inputs(1)
    seen: list[Tensor] = []

    def overflow(_m: torch.nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        seen.append(args[0])
        return out if torch.allclose(args[0], seen[0]) else out * torch.nan

    model.head.register_forward_hook(overflow)
    with pytest.raises(vaw.errors.CaptureError, match="Without head 0 of layer 2"):
        vaw.head_importance(model, inputs)
