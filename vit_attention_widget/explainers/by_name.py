"""The methods of a comparison or evaluation: names of explainers, or functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ..errors import ParameterError
from ..tracing.trace import Trace
from . import METHODS
from .attribution import Attribution

__all__ = ["Explainer", "MethodsLike", "are_methods", "explainers_by_name"]

Explainer: TypeAlias = Callable[[Trace], Attribution]
"""A function of a trace that makes a map."""

MethodsLike: TypeAlias = str | Sequence[str] | Mapping[str, Explainer]
"""Names of explainers, or functions of a trace by the name that each is to have."""


def explainers_by_name(methods: MethodsLike | None) -> dict[str, Explainer]:
    """Explainers by name, in the order in which they were given; all of them for None.

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
        if name not in METHODS:
            raise ParameterError(
                f"There is no method {name!r}: choose from {', '.join(METHODS)}, or give "
                "{name: function of a trace}."
            )
    return {name: METHODS[name] for name in names}


def are_methods(value: object) -> bool:
    """Whether a value can only be methods, and is no target: names of explainers, or a mapping."""
    if isinstance(value, Mapping):
        return True
    names = [value] if isinstance(value, str) else value
    return (
        isinstance(names, Sequence)
        and bool(names)
        and all(isinstance(name, str) and name in METHODS for name in names)
    )
