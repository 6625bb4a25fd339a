"""What classes are called: a list, a dict, a file, or what a data set says."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import SupportsInt, TypeAlias, TypeGuard

from ..errors import ParameterError
from ..support.words import sendable

__all__ = [
    "LABEL_COLUMNS",
    "ClassNamesLike",
    "class_names_of",
    "features_of",
    "label_columns",
    "read_class_names",
]

LABEL_COLUMNS = ("label", "labels", "cls")
"""What data sets call the column of an image's class; the last is WebDataset's."""

ClassNamesLike: TypeAlias = (
    Sequence[str] | Mapping[int, str] | Mapping[str, str] | str | PathLike[str]
)
"""Names of classes as users give them: a list, {index: name}, or a .txt or .json file of these."""


def read_class_names(given: ClassNamesLike) -> list[str]:
    """The name of each class, in order.

    A ``?`` stands for what is no letter: half of a surrogate pair, which a file may hold that was
    read in the wrong encoding, and which can be neither sent to a browser nor written to a file.

    Parameters
    ----------
    given : sequence of str, mapping or path
        A list; ``{index: name}`` of all classes; a ``.json`` file of either; or any other file,
        with a name a line. A data set with ``.classes`` is taken by those.

    Raises
    ------
    ParameterError
        If it is none of these, a file cannot be read, an index is missing, or there are no names.
    """
    names: object = given
    if isinstance(given, str | PathLike):
        names = _read(Path(given))
    elif not isinstance(given, Mapping | Sequence):
        names = class_names_of(given) or given
    if isinstance(names, Mapping):
        names = _in_order(names)
    if not _is_list(names) or not len(names):
        raise ParameterError(
            f"class_names is {str(names)[:80]!r}: a list of names, {{index: name}}, or the path of "
            "a .txt or .json file of these was expected."
        )
    return [sendable(str(name)) for name in names]


def class_names_of(images: object) -> list[str] | None:
    """What a data set calls its classes, if it says so.

    torchvision's have ``.classes``, those of Hugging Face's datasets a ``ClassLabel`` with names.
    Several data sets that are joined say so if all say the same.
    """
    for data in _inside(images):
        names = getattr(data, "classes", None)
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return list(names)
        joined = getattr(data, "datasets", None)
        if isinstance(joined, list | tuple) and joined:
            first, *others = map(class_names_of, joined)
            return first if all(other == first for other in others) else None
    features = features_of(images)
    columns = label_columns(features)
    said = getattr(features[columns[0]], "names", None) if len(columns) == 1 else None
    return None if said is None else list(said)


def features_of(images: object) -> Mapping[str, object]:
    """What a data set of Hugging Face's, or what holds one, says of its columns; else empty."""
    for data in _inside(images):
        features = getattr(data, "features", None)
        if isinstance(features, Mapping):
            return features
    return {}


def label_columns(features: Mapping[str, object]) -> list[str]:
    """The columns that could be an image's class: the one with such a name, or all of classes."""
    named = [name for name in LABEL_COLUMNS if name in features][:1]
    return named or [n for n, feature in features.items() if type(feature).__name__ == "ClassLabel"]


def _inside(images: object) -> Iterator[object]:
    """A data set, and what it holds: a loader's, or the one that a subset is of."""
    data, seen = images, list[object]()
    while data is not None and not any(data is one for one in seen):
        yield data
        seen.append(data)
        data = getattr(data, "dataset", None)


def _read(path: Path) -> object:
    try:
        text = path.expanduser().read_text("utf-8-sig")  # Windows marks it
        return json.loads(text) if path.suffix == ".json" else _lines(text)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"The class names cannot be read from {str(path)!r}: {error}. Give a .txt file with a "
            "name a line, a .json file, or a list of names."
        ) from error


def _is_list(names: object) -> TypeGuard[Collection[object]]:
    return hasattr(names, "__len__") and not isinstance(names, str | bytes)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _in_order(names: Mapping[SupportsInt | str, object]) -> list[object]:
    try:
        by_index = {int(index): name for index, name in names.items()}
    except (TypeError, ValueError):
        raise ParameterError(
            f"class_names maps {next(iter(names))!r} to a name, but class indices were expected, "
            'as in {0: "cat", 1: "dog"}.'
        ) from None
    missing = sorted(set(range(len(by_index))) - set(by_index))
    if missing:
        raise ParameterError(
            f"class_names gives {len(by_index)} names, but none to class {missing[0]}: name every "
            "class from 0 on."
        )
    return [by_index[index] for index in range(len(by_index))]
