"""What a session knows, as a page holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from ..errors import VitAttentionError
from ..protocol.schema.results import Compared, DecisionWithout, Status
from ..protocol.tensors import encode
from ..session import Session
from ..session.attention import MOST_STREAMED_TOKENS
from ..session.selections import DIRECTIONS
from ..session.traits import RESULTS, SELECTIONS
from .answers import Recorded, key_of

__all__ = ["Explained", "SessionValues", "values_of"]

_OF_CLASS = (
    "decision",
    "partial",
    "_interactions",
    "curves",
    "faithfulness",
    "_comparison",
    "_comparison_maps",
    "_version",
    "_maps",
    "_importance_data",
    "_importance_before",
    "_layer_decisions",
)
"""Results that are other ones where another class is explained."""

_COMPARED: tuple[Compared, ...] = ("methods", "classes", "layers")
_PICTURES = 40
_POINTS = 1500
"""So many pictures of the set, and points of a map of patterns, are in a page at the most."""

_IDLE: Status = {
    "state": "idle",
    "label": "",
    "progress": None,
    "error": None,
    "milliseconds": None,
    "paused": [],
}


class Explained(TypedDict):
    """What is known where a class is explained."""

    values: dict[str, object]

    without: dict[str, DecisionWithout]
    """By ``"layer,head"``: the decision with that head masked."""


@dataclass(frozen=True)
class SessionValues:
    """What a session knows.

    Attributes
    ----------
    values : dict
        Traits that all widgets of the session share.
    explained : dict
        By class, as text.
    answers : dict
        What could be left out, by what it is: answers to requests by what these are known by.
    """

    values: dict[str, object]
    explained: dict[str, Explained]
    answers: dict[str, dict[str, Recorded]] = field(default_factory=dict)


def values_of(session: Session, classes: Iterable[int | str], attention: bool) -> SessionValues:
    """All that a session knows now; other classes are explained in a session of their own."""
    values: dict[str, object] = {
        name: getattr(session, name) for name in (*SELECTIONS, *RESULTS)
    } | {
        "status": _IDLE,
        "_saved_model": {},  # where a file lies is nobody else's business
        "_history": {"pruned": session.pruned_heads, "undo": [], "redo": []},
        "_stored": _of_store(session),
        "_brought": {"names": [], "shown": -1},
        "_brought_thumbnails": b"",
    }
    comparisons = _comparisons(session)
    explained = {_key(session.target): _explained(session, comparisons)}
    for index, other in _of_classes(session, classes):
        compared = _comparisons(other)
        explained[_key(index)] = _explained(other, compared)
        comparisons |= compared
    values |= explained[_key(session.target)]["values"]
    if session._attention_rows:  # all of them: the browser may have been sent some
        values["_attention_rows"] = session.attention.rows(
            session.selected_token, session.direction
        )
    answers = {"comparisons": comparisons, **dict(_answers(session, attention))}
    return SessionValues(values, explained, answers)


def _of_store(session: Session) -> dict[str, object]:
    """What was read of a folder; where it lies is nobody else's business, nor are its pictures."""
    stored = session._stored
    if "folder" not in stored:
        return {}
    name = Path(stored["folder"]).name
    return {**stored, "folder": name, "has_files": False, "rate": 0.0, "problem": ""}


def _key(target: int | None) -> str:
    """A class as the browser writes it; what is explained may be no class."""
    return "null" if target is None else str(target)


def _explained(session: Session, comparisons: Mapping[str, Recorded]) -> Explained:
    maps = session.attributions
    values = {name: getattr(session, name) for name in _OF_CLASS}
    if "names" not in session._comparison:  # else a view of another class's would stay
        for compared in list(comparisons.values())[:1]:
            values |= compared["values"]
    if maps:  # all of them: the browser may have been sent those of one method
        values["_maps"] = encode(dict(maps))
    without = {} if session.pruned_heads else session.studies.importance.without
    return {
        "values": values,
        "without": {f"{layer},{head}": said for (layer, head), said in without.items()},
    }


def _of_classes(
    session: Session, classes: Iterable[int | str]
) -> Iterator[tuple[int | None, Session]]:
    """Sessions in which these classes are explained, each once and open for as long as it is."""
    seen = {session.target}
    for of in classes:
        other = Session(
            session.described, session.image, of, pruned_heads=session.pruned_heads,
            method=session.method, metric=session.metric,
        )  # fmt: skip
        try:
            if other.target not in seen:
                seen.add(other.target)
                other.read_out_layers()
                other.wait()
                yield other.target, other
        finally:
            other.close()


def _answers(session: Session, attention: bool) -> Iterator[tuple[str, dict[str, Recorded]]]:
    """What could be left out, the most wanted first."""
    yield "attention rows of the class token and the selected one", _rows(session)
    info = session._model_info
    if attention and info["num_tokens"] <= MOST_STREAMED_TOKENS:
        yield (
            "attention matrices",
            {
                key_of("attention", {"layer": layer}): {"buffer": session.attention.layer(layer)}
                for layer in range(info["num_layers"])
            },
        )
    if session.patterns is not None:
        yield "the map of attention patterns", _pattern_map(session)
        yield "single points of the map of attention patterns", _pattern_points(session)
    if session._overview:
        yield (
            "pictures of the image set",
            {
                key_of("image", {"index": index}): {"buffer": session.studies.images.picture(index)}
                for index in range(min(_PICTURES, info["set_size"]))
            },
        )


def _comparisons(session: Session) -> dict[str, Recorded]:
    """Maps of all methods, classes and layers beside each other, as far as there are such.

    What is compared is of the explained class, so this is part of what was asked.
    """
    answers: dict[str, Recorded] = {}
    for kind in _COMPARED:
        try:
            traits = session.studies.comparison.traits_of(kind)
        except VitAttentionError:
            continue
        asked: dict[str, object] = {"of": kind, "classes": [], "target": session.target}
        if kind != "methods":
            asked["method"] = session.method
        answers[key_of("compare", asked)] = {"values": traits}
    return answers


def _rows(session: Session) -> dict[str, Recorded]:
    tokens: Sequence[int] = sorted({session._context.subject.first_token, session.selected_token})
    return {
        key_of("rows", {"token": token, "direction": direction}): {
            "values": {"_attention_rows": session.attention.rows(token, direction)}
        }
        for token in tokens
        for direction in DIRECTIONS
    }


def _pattern_map(session: Session) -> dict[str, Recorded]:
    study = session.studies.patterns
    answers: dict[str, Recorded] = {}
    for family, _ in session.patterns or ():
        asked: Mapping[str, object] = {"family": family}
        answers[key_of("pattern_map", asked)] = {"buffer": study.points(family)}
        try:
            pictures = study.thumbnails(family)
        except VitAttentionError:
            continue
        answers[key_of("pattern_thumbnails", asked)] = {"buffer": pictures}
    return answers


def _pattern_points(session: Session) -> dict[str, Recorded]:
    study = session.studies.patterns
    return {
        key_of("pattern_at", {"family": family, "index": index}): {
            "buffer": study.point(family, index)
        }
        for family, of in session.patterns or ()
        for index in range(len(of))
        if len(of) <= _POINTS
    }
