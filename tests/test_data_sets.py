"""Data sets of PyTorch, torchvision and Hugging Face are image sets, with their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets as hf
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

import vit_attention_widget as vaw
from vit_attention_widget.data.kept import read_once
from vit_attention_widget.data.labels_by_name import classes_by_name
from vit_attention_widget.data.reader import batches
from vit_attention_widget.errors import ParameterError, TargetError
from vit_attention_widget.models.class_names import class_names_of

KINDS = list(vaw.demo.KINDS)
SCENES = sorted((vaw.demo.scene(seed=seed) for seed in range(4)), key=lambda scene: scene.name)
PICTURES = [Image.fromarray(scene.image) for scene in SCENES]
LABELS = [scene.label for scene in SCENES]
VIT = vaw.describe(vaw.demo.load_model())
AS_INPUT = torchvision.transforms.Compose(
    [torchvision.transforms.ToTensor(), torchvision.transforms.Normalize(0.5, 0.5)]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders called as their classes: of the ten only those that were drawn."""
    root = tmp_path_factory.mktemp("scenes")
    for number, (scene, picture) in enumerate(zip(SCENES, PICTURES, strict=True)):
        (root / scene.name).mkdir(exist_ok=True)
        picture.save(root / scene.name / f"{number}.png")
    return root


def table(image: str = "image", label: str = "label", **more: Any) -> Any:
    features = {image: hf.Image(), label: hf.ClassLabel(names=KINDS), "id": hf.Value("int64")}
    content = {image: PICTURES, label: LABELS, "id": list(range(4))}
    content |= dict.fromkeys(more, LABELS)
    return hf.Dataset.from_dict(content, features=hf.Features({**features, **more}))


def images_of(folder: Path, transform: Any = None) -> Any:
    return torchvision.datasets.ImageFolder(str(folder), transform=transform)


class Indexed(Dataset[tuple[Any, int]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return AS_INPUT(PICTURES[index]), LABELS[index]


class Stream(IterableDataset[tuple[Any, int]]):
    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return iter(zip(PICTURES, LABELS, strict=True))


def as_input(rows: dict[str, Any]) -> dict[str, Any]:
    return {"pixel_values": [AS_INPUT(image) for image in rows["image"]], "label": rows["label"]}


def _apart(some: list[tuple[Any, int]]) -> tuple[list[Any], list[int]]:
    return [image for image, _ in some], [label for _, label in some]


FORMS: dict[str, Callable[[Path], Any]] = {
    "Dataset": lambda _: Indexed(),
    "IterableDataset": lambda _: Stream(),
    "DataLoader": lambda _: DataLoader(Indexed(), batch_size=3),
    "DataLoader of a stream": lambda _: DataLoader(Stream(), batch_size=None),
    "ImageFolder": images_of,
    "ImageFolder of tensors": lambda folder: images_of(folder, AS_INPUT),
    "its DataLoader": lambda folder: DataLoader(images_of(folder, AS_INPUT), batch_size=3),
    "its pictures": lambda f: DataLoader(images_of(f), batch_size=2, collate_fn=_apart),
    "parts of it, joined": lambda folder: ConcatDataset(
        [Subset(images_of(folder), [0, 1]), Subset(images_of(folder), [2, 3])]
    ),
    "hf": lambda _: table(),
    "hf img": lambda _: table("img"),
    "hf by type": lambda _: table("photo", "species"),
    "hf label beside another class": lambda _: table(coarse=hf.ClassLabel(names=KINDS)),
    "hf stream": lambda _: table("photo", "species").to_iterable_dataset(),
    "hf as tensors": lambda _: table().with_format("torch"),
    "hf as arrays": lambda _: table("photo", "species").with_format("numpy"),
    "hf DataLoader": lambda _: DataLoader(
        table("photo", "species").with_format("torch"), batch_size=3
    ),
    "hf transformed": lambda _: DataLoader(table().with_transform(as_input), batch_size=3),
    "hf not decoded": lambda _: table().cast_column("image", hf.Image(decode=False)),
    "WebDataset": lambda _: [
        {"__key__": str(number), "jpg": image, "cls": label}
        for number, (image, label) in enumerate(zip(PICTURES, LABELS, strict=True))
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_pictures_and_the_models_classes(form: str, folder: Path) -> None:
    """Whatever the data set calls its columns, and however it counts its classes."""
    inputs, labels = [], list[int]()
    for batch in batches(FORMS[form](folder), None, 3):
        prepared, classes = batch.prepared(VIT)
        inputs.append(prepared)
        labels += classes
    torch.testing.assert_close(torch.cat(inputs), VIT.prepare(PICTURES))
    assert labels == LABELS


def test_what_sets_call_their_classes(folder: Path) -> None:
    drawn = sorted({scene.name for scene in SCENES})
    assert class_names_of(images_of(folder)) == drawn
    assert class_names_of(FORMS["parts of it, joined"](folder)) == drawn
    assert class_names_of(ConcatDataset([images_of(folder), Indexed()])) is None
    assert class_names_of(table("photo", "species")) == KINDS
    assert class_names_of(DataLoader(table("photo", "species"))) == KINDS
    assert class_names_of(table(coarse=hf.ClassLabel(names=list("abcdefghij")))) == KINDS
    assert class_names_of(table().remove_columns("label")) is None


def test_a_folders_labels_are_the_models_in_every_function(folder: Path) -> None:
    """Its classes 0 and 1 are not the model's."""
    images = images_of(folder, AS_INPUT)
    model = vaw.demo.load_model()
    importance = vaw.head_importance(model, images, metric="taylor")
    assert torch.equal(importance.labels, torch.tensor(LABELS))
    right = VIT.model(VIT.prepare(PICTURES)).argmax(-1) == torch.tensor(LABELS)
    assert vaw.accuracy(model, images) == right.double().mean()
    kept = read_once(DataLoader(images, batch_size=2, shuffle=True))
    [batch] = batches(kept, None, 4)
    assert sorted(batch.classes(VIT)) == sorted(LABELS)
    session = vaw.Session(model, PICTURES[0], image_set=images)
    assert session._context.labels == LABELS
    session.close()


def test_labels_given_beside_a_set_are_the_models(folder: Path) -> None:
    readable = vaw.readable_images(VIT, images_of(folder), target=[5, 6, 7, 8])
    [batch] = batches(readable, None, 4)
    assert batch.classes(VIT) == [5, 6, 7, 8]


def _vit(*names: str) -> Any:
    """The bundled model under other names of its classes."""
    return vaw.describe(vaw.demo.load_model(), class_names=[*names, *KINDS[len(names) :]])


def test_classes_of_other_names_are_the_models_in_order_or_refused() -> None:
    numbers = [f"n{index:08}" for index in range(10)]
    assert classes_by_name([3, 4], numbers, VIT) == [3, 4]
    assert classes_by_name([3, "star", 0.5], KINDS[::-1], VIT) == [6, "star", 0.5]
    assert classes_by_name([0, 1], ["Crescent_moon ", "STAR"], _vit("crescent moon")) == [
        0,
        KINDS.index("star"),
    ]
    twice = _vit("crane", "crane")  # as ImageNet's
    assert classes_by_name([0, 1], twice.class_names, twice) == [0, 1]
    for names in (numbers[:5], [*KINDS[1:], "owl"], ["crane"]):
        with pytest.raises(TargetError, match=r"classes are not the 10 of .* called"):
            classes_by_name([0], names, twice)


def test_what_does_not_tell_its_image_or_label_is_refused() -> None:
    for images, message in (
        (hf.DatasetDict(train=table(), test=table()), r"of data sets, test, train: give one"),
        ([{"left": PICTURES[0], "right": PICTURES[1]}], "left, right are pictures"),
        ([{"text": "a cat"}], "an entry `image`"),
        (table("image", "fine", coarse=hf.ClassLabel(names=KINDS)), "rename_column"),
    ):
        with pytest.raises(ParameterError, match=message):
            list(batches(images, None, 2))
    arrays = [{"photo": np.asarray(picture), "weight": np.ones(3)} for picture in PICTURES]
    assert len(next(batches(arrays, None, 4))) == 4


def test_a_set_that_holds_itself_is_left_at_that() -> None:
    class Loop:
        @property
        def dataset(self) -> Loop:
            return self

    assert class_names_of(Loop()) is None
