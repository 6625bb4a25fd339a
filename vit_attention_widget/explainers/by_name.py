"""The methods of a comparison or evaluation: names of explainers, or functions by name."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ..errors import ParameterError
from ..support.progress import Progress
from ..tracing.trace import Trace
from . import LONG_METHODS, METHODS
from .attribution import Attribution

__all__ = ["Explainer", "MethodsLike", "are_methods", "explain", "explainers_by_name"]

_BY_NAME: Mapping[str, Callable[..., Attribution]] = ChainMap(LONG_METHODS, METHODS)
"""All explainers, those that take long last."""

Explainer: TypeAlias = Callable[[Trace], Attribution]
"""A function of a trace that makes a map."""

MethodsLike: TypeAlias = str | Sequence[str] | Mapping[str, Explainer]
"""Names of explainers, or functions of a trace by the name that each is to have."""


def explainers_by_name(methods: MethodsLike | None) -> dict[str, Explainer]:
    """Explainers by name, in the order in which they were given; :data:`.METHODS` for None.

    Raises
    ------
    ParameterError
        If there is no such explainer, or nothing was given.
    """
    if methods is None:
        return dict(METHODS)
    if isinstance(methods, Mapping) and methods and all(callable(f) for f in methods.values()):
        return dict(methods)
    names = [methods] if isinstance(methods, str) else methods
    if not isinstance(names, Sequence) or not names:
        raise ParameterError(
            f"methods is {methods!r}: give names of explainers, such as ['daam', 'rollout'], or "
            "{name: function of a trace}."
        )
    for name in names:
        if name not in _BY_NAME:
            raise ParameterError(
                f"There is no method {name!r}: choose from {', '.join(_BY_NAME)}, or give "
                "{name: function of a trace}."
            )
    return {name: _BY_NAME[name] for name in names}


def explain(explainer: Explainer, trace: Trace, progress: Progress) -> Attribution:
    """The map of an explainer, with progress inside of those that take long."""
    if explainer in LONG_METHODS.values():
        long: Callable[..., Attribution] = explainer
        return long(trace, progress=progress)
    return explainer(trace)


def are_methods(value: object) -> bool:
    """Whether a value can only be methods, and is no target: names of explainers, or a mapping."""
    if isinstance(value, Mapping):
        return True
    names = [value] if isinstance(value, str) else value
    return (
        isinstance(names, Sequence)
        and bool(names)
        and all(isinstance(name, str) and name in _BY_NAME for name in names)
    )
