"""A function that goes all the way, from one that yields what is known at each step.

So the parameters of the two are written once::

    def count_steps(n: int, *, start: int = 0) -> Iterator[int]:
        yield from range(start, n)

    @last_of(count_steps)
    def count(last: int) -> int:
        return last

    count(3, start=1)  # 2
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ..errors import ParameterError
from .deprecation import warn_renamed
from .stopped import free_frames, is_stop, partial_of, remember

__all__ = ["last_known", "last_of", "last_step"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_ON_UPDATE = "on_update"


def last_of(
    steps: Callable[_P, Iterator[_R]], *, on_update: bool = False
) -> Callable[[Callable[[_R], _R]], Callable[_P, _R]]:
    """Make a function of the parameters of ``steps`` that returns the last value it yields.

    Where an error stops the steps, that is what there was by then; see :mod:`.stopped`.

    Parameters
    ----------
    steps : callable
        Yields at least once. Its decorators are left out: old names, say, are warned about by the
        name that was called.
    on_update : bool
        Take the old parameter ``on_update`` too, which was called with each value.

    Returns
    -------
    decorator
        Of a function that is given the last value, and returns it or warns about it; its name and
        docstring are kept.
    """

    def decorate(finish: Callable[[_R], _R]) -> Callable[_P, _R]:
        @wraps(finish)
        def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            update = kwargs.pop(_ON_UPDATE, None) if on_update else None
            if update is not None and not callable(update):
                raise ParameterError(f"{_ON_UPDATE} is {update!r}: a function was expected.")
            if update is not None:
                warn_renamed(
                    f"{finish.__name__}({_ON_UPDATE}=...)", f"a loop over {steps.__name__}(...)"
                )
            return finish(last_known(inspect.unwrap(steps)(*args, **kwargs), update))

        signature = inspect.signature(steps)
        returned = finish.__annotations__.get("return", inspect.Signature.empty)
        run.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
        run.__annotations__ = {**steps.__annotations__, "return": returned}
        return run

    return decorate


def last_step(steps: Iterator[_R]) -> _R:
    """The last value that is yielded; an error is raised, whatever there was by then."""
    return deque(steps, maxlen=1)[0]


def last_known(steps: Iterator[_R], update: Callable[[_R], object] | None = None) -> _R:
    """The last value, or what there was of it when an error came; see :mod:`.stopped`."""
    value: Any = None
    try:
        for value in steps:
            if update is not None:
                update(value)
    except BaseException as error:
        partial = value if partial_of(error) is None else partial_of(error)
        if not hasattr(partial, "_stopped"):  # nothing, or nothing that could say so
            raise
        if is_stop(error):
            remember(error, partial)
            raise
        free_frames(error)
        stopped: _R = partial._stopped(error)
        return stopped
    assert value is not None
    ended: _R = value._ended() if hasattr(value, "_ended") else value
    return ended
