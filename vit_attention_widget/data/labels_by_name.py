"""Labels that a data set counts by its own classes, as classes of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..errors import TargetError
from ..models import VisionTransformer
from ..models.class_names import class_names_of

__all__ = ["classes_by_name", "names_of_labels"]


def names_of_labels(images: object) -> Sequence[str] | None:
    """What the labels that come with images count, if their data set says so."""
    return None if getattr(images, "relabeled", False) else class_names_of(images)


def classes_by_name(
    labels: list[object], names: Sequence[str] | None, vit: VisionTransformer
) -> list[object]:
    """Labels by index as indices of the model's classes; others as they are.

    A folder of pictures counts its classes by the alphabet and has perhaps a few of the model's:
    the names tell which are meant. Where a data set has as many classes under other names
    (WordNet's numbers, say), they are in the model's order.

    Parameters
    ----------
    labels : list
    names : sequence of str or None
        What the data set calls its classes.
    vit : VisionTransformer

    Raises
    ------
    TargetError
        If the names show that the data set's classes are not the model's.
    """
    if names is None or vit.class_names is None:
        return labels
    place = _places([_folded(name) for name in names], [_folded(name) for name in vit.class_names])
    moved = any(index not in (None, number) for number, index in enumerate(place))
    if None in place and (moved or len(names) != len(vit.class_names)):
        odd = names[place.index(None)]
        raise TargetError(
            f"The data set's {len(names)} classes are not the {len(vit.class_names)} of "
            f"{vit.name}, of which not exactly one is called {odd!r}, so its labels do not tell "
            "which are meant: give labels as names or indices of the model's classes, or leave "
            "them out, as in (image for image, _ in images)."
        )
    if None in place:
        return labels
    return [_placed(label, place) for label in labels]


def _places(names: Sequence[str], own: Sequence[str]) -> list[int | None]:
    """Where the model has each name; None where it has not one such class, but none or several."""
    if list(names) == list(own):  # ImageNet has two cranes
        return list(range(len(own)))
    counts = Counter(own)
    index = {name: number for number, name in enumerate(own) if counts[name] == 1}
    return [index.get(name) for name in names]


def _placed(label: object, place: Sequence[int | None]) -> object:
    """The model's index of a label; what is no index of the data set's is refused elsewhere."""
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(place):
        return label
    return place[label]


def _folded(name: str) -> str:
    return name.strip().casefold().replace("_", " ")
