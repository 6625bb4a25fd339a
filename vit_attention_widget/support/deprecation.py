"""Old names that keep working for one release, with a warning that says the new one.

Use ``renamed_keywords`` for arguments, ``renamed_names`` for what a module offers,
``renamed_attribute`` for methods, properties and fields, ``renamed_choice`` for strings that an
argument may be, ``reordered_arguments`` for arguments that were given by position, and
``warn_renamed`` for anything else.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar

from ..errors import ParameterError
from .warn import warn_caller

__all__ = [
    "REMOVED_IN",
    "renamed_attribute",
    "renamed_choice",
    "renamed_keywords",
    "renamed_names",
    "reordered_arguments",
    "warn_renamed",
]

REMOVED_IN = "0.3"
"""The release in which the names that are old now go."""

_P = ParamSpec("_P")
_R = TypeVar("_R")
_V = TypeVar("_V")


def warn_renamed(old: str, new: str) -> None:
    """Warn that ``old`` is called ``new`` now, at the line outside this package that used it.

    Python shows the warning once for each such line, and by default only where the line stands in
    a notebook, a script or a test.

    Parameters
    ----------
    old, new : str
        As the user would write them, such as ``"compare(normalise=...)"``.
    """
    warn_caller(
        f"{old} is now {new}; the old name goes in release {REMOVED_IN}.", DeprecationWarning
    )


def renamed_keywords(
    new_names: Mapping[str, str],
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function or method take keywords by their old names too.

    Parameters
    ----------
    new_names : mapping of str to str
        Old keyword to new keyword. The old ones are no part of the signature.

    Raises
    ------
    TypeError
        In a call that gives a keyword by both names.

    Examples
    --------
    >>> @renamed_keywords({"normalise": "normalize"})
    ... def scale(values, *, normalize=True): ...
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        # A user names the class, not its __init__.
        name = function.__qualname__.removesuffix(".__init__").rpartition("<locals>.")[-1]

        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for old, new in new_names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise TypeError(
                        f"{name}() got both {new!r} and {old!r}, which is its old name: "
                        f"give {new!r} only."
                    )
                warn_renamed(f"{name}({old}=...)", f"{name}({new}=...)")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def reordered_arguments(
    *old_order: str, moved: Callable[[Sequence[object]], bool]
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function or method take positional arguments in their old order too.

    Parameters
    ----------
    *old_order : str
        The parameters, as they are called now, in the order in which they used to be given.
    moved : callable
        Takes the positional arguments from the first place on where the two orders differ, at
        least one of them, and returns whether they are in the old order.

    Raises
    ------
    ParameterError
        If the call is neither an old one nor, by the number of its arguments, a new one. The
        message shows the new one.

    Examples
    --------
    >>> @reordered_arguments("image", "factor", "target", moved=lambda args: args[0] in (2, 4))
    ... def enlarge(image, target=None, *, factor=2): ...
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        name = function.__qualname__.rpartition("<locals>.")[-1]
        parameters = inspect.signature(function).parameters.values()
        new_order = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        required = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
        places = enumerate(zip(old_order, [*new_order, None], strict=False))
        first = next(place for place, (old, new) in places if old != new)
        by_keyword = [f"{each}=..." for each in old_order if each not in new_order]
        old_call = f"{name}({', '.join(each for each in old_order if each != 'self')})"
        new_call = f"{name}({', '.join([e for e in new_order if e != 'self'] + by_keyword)})"
        run: Callable[..., _R] = function

        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if len(args) <= first:
                return function(*args, **kwargs)
            by_name = dict(zip(old_order, args, strict=False))
            once = len(by_name) == len(args) and not by_name.keys() & kwargs.keys()
            if once and moved(args[first:]):
                warn_renamed(old_call, new_call)
                return run(**by_name, **kwargs)
            if len(args) > len(new_order) or not required <= kwargs.keys():
                raise ParameterError(
                    f"The arguments of {name} are in another order now, and only the first "
                    f"{len(new_order)} are taken by position: call {new_call}."
                )
            return function(*args, **kwargs)

        return call

    return decorate


def renamed_names(module: str, new_names: Mapping[str, str]) -> Callable[[str], object]:
    """Make a module's ``__getattr__`` that finds what it offers by the old names too.

    Parameters
    ----------
    module : str
        The module's ``__name__``.
    new_names : mapping of str to str
        Old name to new name, both as seen from the module. A new name may have dots
        (``"evaluation.sanity_check"``).

    Returns
    -------
    callable
        Takes a name; raises ``AttributeError`` for one that is not in ``new_names``. A module that
        has a ``__getattr__`` of its own ends it with a call of this.

    Examples
    --------
    >>> __getattr__ = renamed_names(__name__, {"forget_weights": "randomize_weights"})
    """

    def look_up(name: str) -> object:
        if name not in new_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = new_names[name]
        warn_renamed(f"{module}.{name}", f"{module}.{new}")
        return attrgetter(new)(sys.modules[module])

    return look_up


class renamed_attribute:  # noqa: N801 - it is used as a function is
    """Let a class have a method, property, field or trait by its old name too.

    Parameters
    ----------
    new : str
        What it is called now. It is read, called and set through the old name as through the new.

    Examples
    --------
    >>> class Result:
    ...     skipped = ()
    ...     left_out = renamed_attribute("skipped")
    """

    def __init__(self, new: str) -> None:
        self._new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self._old_address = f"{owner.__name__}.{name}"
        self._new_address = f"{owner.__name__}.{self._new}"

    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            # Tools that list a class's members (traitlets does) read them all and mean none.
            new = inspect.getattr_static(owner, self._new, None)
            if not isinstance(new, (classmethod, staticmethod)):
                return self
        warn_renamed(self._old_address, self._new_address)
        return getattr(owner if instance is None else instance, self._new)

    def __set__(self, instance: object, value: object) -> None:
        warn_renamed(self._old_address, self._new_address)
        setattr(instance, self._new, value)


def renamed_choice(parameter: str, value: _V, new_values: Mapping[str, _V]) -> _V:
    """The value of an argument or trait, by its new name if it was given by an old one.

    Parameters
    ----------
    parameter : str
        What the argument or trait is called.
    value : object
        What was given; anything but an old name comes back as it is, to be validated as ever.
    new_values : mapping of str to str
        Old value to new value.

    Examples
    --------
    >>> renamed_choice("direction", "attends_to", {"looks_at": "attends_to"})
    'attends_to'
    """
    if not isinstance(value, str) or value not in new_values:
        return value
    new = new_values[value]
    warn_renamed(f"{parameter}={value!r}", f"{parameter}={new!r}")
    return new
