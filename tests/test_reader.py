"""The one reader of images: every form in which images, labels and masks are given."""

from __future__ import annotations

import io
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import BY_NAME
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from twins import twins

import vit_attention_widget as vaw
from vit_attention_widget.data.items import count_images, in_memory
from vit_attention_widget.data.kept import kept_inputs, raw_image, read_once
from vit_attention_widget.data.labels import with_labels
from vit_attention_widget.data.masks import masks_in_order, next_masks
from vit_attention_widget.data.reader import batches, samples
from vit_attention_widget.errors import ImageError, ParameterError, TargetError
from vit_attention_widget.models.class_names import class_names_of

VIT = twins("vit").trace.model
COUNT = 7
INPUTS = BY_NAME["vit"].inputs(COUNT)
LABELS = [0, 1, 1, 2, 3, 0, 1]
PAIRS = list(zip(INPUTS, LABELS, strict=True))
ARRAYS = np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3), dtype=np.uint8)


class OnlyIndexed:
    """A map-style data set that does not say where it ends."""

    classes = ("ant", "bee", "cat", "dog")

    def __init__(self, items: list[Any]) -> None:
        self.entries = items

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Any:
        return self.entries[index % len(self.entries)]


class Rows(OnlyIndexed):
    """As Hugging Face's data sets: iterable, with an entry as a mapping and a slice as one too."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.entries)


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return iter(PAIRS)


def mapped(image: str, label: str) -> list[dict[str, Any]]:
    return [{image: x, label: y, "id": 3} for x, y in PAIRS]


def read(images: Any, target: Any = None, size: int = 3) -> tuple[Tensor, list[Any]]:
    """All inputs, and the label of each image or None."""
    parts, labels, count = [], [], 0
    for batch in batches(images, target, size):
        assert 0 < len(batch) <= size
        assert batch.first == count
        count += len(batch)
        inputs, classes = batch.prepared(VIT)
        parts.append(inputs)
        labels += classes if isinstance(classes, list) else [classes] * len(batch)
    return torch.cat(parts), labels


LABELLED = {
    "pairs": lambda: PAIRS,
    "tuple of pairs": lambda: tuple(PAIRS),
    "lists of two": lambda: [[x, y] for x, y in PAIRS],
    "with tensors as labels": lambda: [(x, torch.tensor(y)) for x, y in PAIRS],
    "with arrays of one as labels": lambda: [(x, np.array([y])) for x, y in PAIRS],
    "with more behind": lambda: [(x, y, {"file": "a.png"}) for x, y in PAIRS],
    "generator": lambda: (pair for pair in PAIRS),
    "zip": lambda: zip(INPUTS, LABELS, strict=True),
    "image, label": lambda: mapped("image", "label"),
    "pixel_values, labels": lambda: mapped("pixel_values", "labels"),
    "img": lambda: mapped("img", "label"),
    "user dicts": lambda: map(UserDict, mapped("images", "label")),
    "rows": lambda: Rows(mapped("image", "label")),
    "indexed": lambda: OnlyIndexed(PAIRS),
    "data set": lambda: TensorDataset(INPUTS, torch.tensor(LABELS)),
    "subset": lambda: Subset(TensorDataset(INPUTS, torch.tensor(LABELS)), range(COUNT)),
    "stream": lambda: Stream(),
    "loader": lambda: DataLoader(TensorDataset(INPUTS, torch.tensor(LABELS)), batch_size=4),
    "loader of a stream": lambda: DataLoader(Stream(), batch_size=4),
    "loader without batches": lambda: DataLoader(OnlyIndexed(PAIRS), batch_size=None),
    "loader of mappings": lambda: DataLoader(Rows(mapped("image", "label")), batch_size=4),
    "loader of lists": lambda: DataLoader(
        OnlyIndexed(PAIRS), batch_size=4, collate_fn=lambda some: tuple(zip(*some, strict=True))
    ),
    "what a loader yields": lambda: next(iter(DataLoader(OnlyIndexed(PAIRS), batch_size=COUNT))),
    "a batch": lambda: (INPUTS, torch.tensor(LABELS)),
    "a mapping of all": lambda: {"pixel_values": INPUTS, "labels": torch.tensor(LABELS)},
    "a processor's features": lambda: UserDict(
        pixel_values=[x.float().numpy() for x in INPUTS], labels=LABELS
    ),
    "batches and samples": lambda: [PAIRS[0], (INPUTS[1:4], LABELS[1:4]), *PAIRS[4:]],
}


@pytest.mark.parametrize("form", list(LABELLED))
def test_images_with_labels_in_every_form(form: str) -> None:
    inputs, labels = read(LABELLED[form]())
    torch.testing.assert_close(inputs, INPUTS, rtol=0, atol=1e-6)
    assert labels == LABELS
    assert {type(label) for label in labels} == {int}


UNLABELLED = {
    "tensor": lambda: INPUTS,
    "list": lambda: list(INPUTS),
    "tuple": lambda: tuple(INPUTS),
    "generator": lambda: iter(INPUTS),
    "list of batches": lambda: [INPUTS[:4], INPUTS[4:]],
    "loader": lambda: DataLoader(TensorDataset(INPUTS), batch_size=4),
    "loader of tensors": lambda: DataLoader(list(INPUTS), batch_size=4),  # type: ignore[arg-type]
    "mappings": lambda: [{"image": x} for x in INPUTS],
    "without label": lambda: [{"image": x, "label": None} for x in INPUTS],
    "indexed": lambda: OnlyIndexed(list(INPUTS)),
}


@pytest.mark.parametrize("form", list(UNLABELLED))
def test_images_without_labels_in_every_form(form: str) -> None:
    inputs, labels = read(UNLABELLED[form]())
    assert torch.equal(inputs, INPUTS)
    assert labels == [None] * COUNT
    assert read(UNLABELLED[form](), 2)[1] == [2] * COUNT


@pytest.mark.parametrize("labels", [LABELS, tuple(LABELS), np.array(LABELS), torch.tensor(LABELS)])
def test_targets_beside_images(labels: Any) -> None:
    for images in (INPUTS, list(INPUTS), [INPUTS[:4], INPUTS[4:]]):
        assert read(images, labels)[1] == LABELS
    for form in UNLABELLED:
        pairs = list(with_labels(UNLABELLED[form](), labels))
        assert [label for _, label in pairs] == LABELS
        assert torch.equal(torch.stack([image for image, _ in pairs]), INPUTS)


def test_labels_beside_images_count_before_their_own() -> None:
    others = [3] * COUNT
    assert [label for _, label in with_labels(PAIRS, others)] == others
    assert read(PAIRS, 2)[1] == [2] * COUNT
    right = vaw.accuracy(VIT, PAIRS)
    assert vaw.accuracy(VIT, (x for x in INPUTS), LABELS) == right
    assert vaw.accuracy(VIT, DataLoader(TensorDataset(INPUTS), batch_size=2), LABELS) == right


def test_one_label_of_a_batch_is_that_of_all_its_images() -> None:
    assert read([(INPUTS[:4], 2), (INPUTS[4:], 3)])[1] == [2] * 4 + [3] * 3


PICTURES = {
    "array": lambda _: ARRAYS,
    "uint8 tensor": lambda _: torch.from_numpy(ARRAYS),
    "list": lambda _: list(ARRAYS),
    "list of lists": lambda _: [list(ARRAYS)],
    "PIL": lambda _: [Image.fromarray(array) for array in ARRAYS],
    "rows of a data set": lambda _: {"image": [Image.fromarray(array) for array in ARRAYS]},
    "paths": lambda files: files,
    "names": lambda files: [str(file) for file in files],
    "array of names": lambda files: np.array([str(file) for file in files]),
    "bytes": lambda files: (file.read_bytes() for file in files),
    "buffers": lambda files: [io.BytesIO(file.read_bytes()) for file in files],
}


@pytest.mark.parametrize("form", list(PICTURES))
def test_pictures_in_every_form(form: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(len(ARRAYS))]
    for file, array in zip(files, ARRAYS, strict=True):
        Image.fromarray(array).save(file)
    inputs, _ = read(PICTURES[form](files))
    assert torch.equal(inputs, VIT.prepare(list(ARRAYS)))


@pytest.mark.parametrize("form", ["path", "name", "bytes", "open file", "array", "PIL", "tensor"])
def test_a_single_image(form: str, tmp_path: Path) -> None:
    file = tmp_path / "0.png"
    Image.fromarray(ARRAYS[0]).save(file)
    one = {
        "path": file,
        "name": str(file),
        "bytes": file.read_bytes(),
        "open file": file.open("rb"),
        "array": ARRAYS[0],
        "PIL": Image.fromarray(ARRAYS[0]),
        "tensor": VIT.prepare(ARRAYS[0])[0],
    }[form]
    assert count_images(one) == 1
    inputs, labels = read(one, [3])
    assert torch.equal(inputs, VIT.prepare(ARRAYS[0]))
    assert labels == [3]


# --- batches -------------------------------------------------------------------------------------


def test_what_a_loader_yields_stays_together() -> None:
    loader = DataLoader(TensorDataset(INPUTS, torch.tensor(LABELS)), batch_size=4)
    assert [len(batch) for batch in batches(loader, None, 5)] == [4, 3]
    assert [len(batch) for batch in batches(loader, None, 3)] == [3, 1, 3]
    mixed = [PAIRS[0], (INPUTS[1:4], LABELS[1:4]), *PAIRS[4:]]
    assert [(batch.first, len(batch)) for batch in batches(mixed, None, 5)] == [
        (0, 1), (1, 3), (4, 3),
    ]  # fmt: skip


def test_a_batch_in_halves() -> None:
    (batch,) = batches(PAIRS, None, 9)
    one, other = batch.halves() or ()
    assert (len(one), one.first, one.target) == (4, 0, LABELS[:4])
    assert (len(other), other.first, other.target) == (3, 4, LABELS[4:])
    assert torch.equal(torch.cat([one.inputs(VIT), other.inputs(VIT)]), INPUTS)
    (fixed,) = batches(INPUTS, "cat", 9)
    assert [half.target for half in fixed.halves() or ()] == ["cat", "cat"]
    assert next(batches(INPUTS[:1], None, 9)).halves() is None


def test_how_many_there_are() -> None:
    for form, make in {**LABELLED, **UNLABELLED}.items():
        unknown = form in ("generator", "zip", "user dicts", "stream", "loader of a stream")
        assert count_images(make()) == (None if unknown else COUNT), form
    assert count_images([]) == count_images(None) == 0
    assert count_images(Subset(OnlyIndexed(PAIRS), [0, 1])) == 2
    assert in_memory(PAIRS)
    assert not in_memory(iter(PAIRS))


def test_images_are_read_once() -> None:
    kept = kept_inputs(VIT, iter(PAIRS)).entries
    assert [label for _, label in kept] == LABELS
    assert torch.equal(torch.stack([image for image, _ in kept]), INPUTS)
    assert kept_inputs(VIT, INPUTS[:2]).entries[1][1] is None
    loader = DataLoader(OnlyIndexed(PAIRS), batch_size=2, shuffle=True)
    again = read_once(loader)
    assert torch.equal(read(again)[0], read(again)[0])
    assert [x for x, _ in samples(again)] != []
    assert read_once(PAIRS) is PAIRS


def test_raw_images() -> None:
    mixed = [{"image": "a.png", "label": 1}, "b.png", ("c.png", 2)]
    assert [raw_image(mixed, index, 3) for index in range(3)] == ["a.png", "b.png", "c.png"]
    for images in (list(ARRAYS), [list(ARRAYS)], ARRAYS):
        assert (raw_image(images, 1, 3) == ARRAYS[1]).all()
    with pytest.raises(ParameterError, match="give image_set as a list of images"):
        raw_image(OnlyIndexed(PAIRS), 0, COUNT)
    with pytest.raises(ParameterError, match="read as one model's input"):
        raw_image(INPUTS, 0, COUNT)


def test_a_data_set_says_what_its_classes_are_called() -> None:
    data = OnlyIndexed(PAIRS)
    assert class_names_of(DataLoader(Subset(data, [0, 1]))) == ["ant", "bee", "cat", "dog"]
    assert class_names_of(PAIRS) is None
    model = BY_NAME["vit"].build()
    model.reset_classifier(0)
    for images in (data, DataLoader(data, batch_size=3)):
        bank = vaw.targets.MemoryBank.fit(model, images)
        assert bank.class_names == ["ant", "bee", "cat", "dog"]
        assert bank.labels.tolist() == LABELS


@pytest.mark.parametrize("form", list(LABELLED))
def test_a_memory_bank_takes_what_head_importance_takes(form: str) -> None:
    model = BY_NAME["vit"].build()
    model.reset_classifier(0)
    bank = vaw.targets.MemoryBank.fit(model, LABELLED[form]())
    expected = vaw.targets.MemoryBank.fit(model, INPUTS, LABELS)
    torch.testing.assert_close(bank.features, expected.features)
    assert torch.equal(bank.labels, expected.labels)


# --- masks ---------------------------------------------------------------------------------------


def test_masks_in_order() -> None:
    masks = np.zeros((COUNT, 4, 4), bool)
    for images in (INPUTS, PAIRS, [INPUTS[:4], INPUTS[4:]], iter(PAIRS)):
        given = masks_in_order(masks, images)
        assert [len(next_masks(given, n)) for n in (4, 3)] == [4, 3]
    one = masks_in_order(masks[0], INPUTS[0])
    path = Path("mask.png")
    assert (
        list(masks_in_order(path, INPUTS[0])) == list(masks_in_order([path], INPUTS[0])) == [path]
    )
    assert next_masks(one, 1)[0].shape == (4, 4)
    for images in (INPUTS[:3], [INPUTS[:3]], PAIRS[:3]):
        with pytest.raises(ParameterError, match="7 masks were given for 3 images"):
            masks_in_order(masks, images)
    with pytest.raises(ParameterError, match="fewer masks than images"):
        next_masks(masks_in_order(iter(masks), INPUTS), 8)


# --- what is wrong, and where --------------------------------------------------------------------


BAD = {
    "picture": ([*ARRAYS[:2], "no-such.png"], ImageError, r"^Image 2: There is no file 'no-such"),
    "in a later batch": ([*PAIRS[:5], (3, 1)], ImageError, r"^Image 5: Got 3 \(int\)"),
    "not finite": (
        torch.cat([INPUTS[:4], INPUTS[4:5] * torch.nan]),
        ImageError,
        r"^Images 3 to 4: .*image 1 of 2",
    ),
    "not finite in a list": ([*INPUTS[:4], INPUTS[4] * torch.nan], ImageError, "^Image 4: .*NaN"),
    "float array": ([np.zeros((8, 8, 3))], ImageError, "^Image 0: Got a float64 array"),
    "class": ([*PAIRS[:4], (INPUTS[4], 9)], TargetError, "^Image 4: There is no class 9"),
    "name": ([*PAIRS[:4], (INPUTS[4], "cow")], TargetError, "^Image 4: .*'cow'"),
    "a single picture": ("no-such.png", ImageError, "^There is no file"),
    "no image": ([PAIRS[0], {"picture": 1}], ParameterError, r"^Item 1 .*\['picture'\].*`image`"),
    "keys": ({"a": 1, 2: 3}, ParameterError, r"^Item 0 .*\['2', 'a'\]"),
    "labels of a batch": (
        [(INPUTS[:4], LABELS[:3])],
        ParameterError,
        "^Item 0 of the images holds 4 images and 3 labels",
    ),
    "some labels": ([*PAIRS[:4], INPUTS[4]], ParameterError, "others have none, such as image 4"),
    "empty item": ([INPUTS[0], []], ImageError, "^Item 1 of the images is empty"),
    "nothing": ([], ImageError, "There are no images: give at least one"),
    "empty tensor": (INPUTS[:0], ImageError, "There are no images"),
    "empty loader": (DataLoader(TensorDataset(INPUTS[:0])), ImageError, "There are no images"),
    "none": (None, ImageError, "There are no images"),
    "number": (3, ImageError, r"^Got 3 \(int\)"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named_by_its_place(name: str) -> None:
    images, error, words = BAD[name]
    with pytest.raises(error, match=words):
        read(images)


@pytest.mark.parametrize(
    ("images", "target", "error", "words"),
    [
        (INPUTS, LABELS[:6], TargetError, "6 targets were given for 7 images"),
        (INPUTS, [*LABELS, 0], TargetError, "8 targets were given for 7 images"),
        (list(INPUTS), [*LABELS[:6], 5], TargetError, "^Image 6: There is no class 5"),
        (INPUTS[0], [0, 1], TargetError, "2 targets were given for 1 images"),
        (PAIRS, LABELS, ParameterError, "one per image beside a data set"),
        (OnlyIndexed(list(INPUTS)), LABELS, ParameterError, "one per image beside a data set"),
    ],
)
def test_targets_that_do_not_fit(
    images: Any, target: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(images, target)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("cat", "The labels are 'cat'"),
        (3, "The labels are 3"),
        (LABELS[:6], "6 labels were given for 7 images"),
        ([*LABELS[:6], None], "Image 6: the label is None"),
        ([*LABELS[:6], -1], "Image 6: the label is -1"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        list(with_labels(INPUTS, labels))


class Folder(OnlyIndexed):
    """A data set as torchvision's `ImageFolder`, with a file that is damaged."""

    def __init__(self) -> None:
        super().__init__(list(PAIRS))
        self.samples = [(f"{label}/{n}.png", label) for n, label in enumerate(LABELS)]

    def __getitem__(self, index: int) -> Any:
        if index == 2:
            raise OSError("image file is truncated")
        return super().__getitem__(index)


def test_a_bad_item_of_a_data_set_is_named_by_index_and_path() -> None:
    words = rf"^Image 2 of the data set \('{LABELS[2]}/2.png'\) cannot be read: OSError: image file"
    with pytest.raises(ImageError, match=words) as caught:
        read(Folder())
    assert isinstance(caught.value.__cause__, OSError)


def test_what_cannot_be_read_is_skipped_if_asked() -> None:
    good = [number for number in range(COUNT) if number != 2]
    bad = {
        "data set": (Folder(), None),
        "list": ([*PAIRS[:2], ("no-such.png", 1), *PAIRS[3:]], None),
        "not finite": (torch.cat([INPUTS[:2], INPUTS[2:3] * torch.nan, INPUTS[3:]]), LABELS),
        "generator": (iter([*INPUTS[:2], object(), *INPUTS[3:]]), LABELS),
    }  # fmt: skip
    for images, target in bad.values():
        readable = vaw.readable_images(VIT, images, target)
        with pytest.warns(UserWarning, match=r"1 of 7 images are skipped, such as image 2: "):
            inputs, labels, *_ = read(readable)
        assert torch.equal(inputs, INPUTS[good])
        assert labels == [LABELS[number] for number in good]
        assert list(readable.skipped) == [2]
    assert count_images(vaw.readable_images(VIT, PAIRS)) == COUNT
    assert class_names_of(vaw.readable_images(VIT, Folder())) == class_names_of(Folder())


def test_the_place_is_named_wherever_images_are_taken() -> None:
    model = BY_NAME["vit"].build()
    images = [*INPUTS[:2], "no-such.png"]
    uses = (
        vaw.head_importance, vaw.image_overview, vaw.pruning_curve, vaw.compare, vaw.evaluate,
        lambda m, x: vaw.AttentionPatterns().fit(m, x),
        lambda m, x: vaw.accuracy(m, x, [0, 0, 0]),
        lambda m, x: vaw.Session(m, x[0], image_set=x),
    )  # fmt: skip
    for use in uses:
        with pytest.raises(ImageError, match=r"^Image 2: There is no file 'no-such"):
            use(model, images)
    model.reset_classifier(0)
    with pytest.raises(ImageError, match=r"^Image 2: There is no file 'no-such"):
        vaw.targets.MemoryBank.fit(model, images, [0, 0, 0])
