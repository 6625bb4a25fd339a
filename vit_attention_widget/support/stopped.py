"""Whatever stops a long computation, what it had computed is not lost.

The rule, for all of them:

- An error after the first part (a picture that cannot be read, logits that are not finite, memory
  that ran out, a callback or data set of the user's that raises) ends the computation: the function
  warns and **returns** what it had, with the error in ``.error``.
- A stop that was asked for (Ctrl-C, a notebook's stop button,
  :class:`~vit_attention_widget.errors.JobCancelled`) is **raised**, so that cells and scripts stop;
  what there was is in ``error.partial``, and :func:`kept_result` returns it.
- A call that makes no sense (:class:`~vit_attention_widget.errors.ParameterError`, such as labels
  that turn out to be fewer than the images) is raised likewise: what there was may be wrong.
- Before the first part there is nothing to keep, and the error is raised as it is.
- Functions that yield step by step raise: what they yielded stays, the latest of it is in
  ``error.partial``.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import JobCancelled, ParameterError

__all__ = [
    "free_frames",
    "is_stop",
    "keeping",
    "kept_result",
    "partial_of",
    "remember",
    "remembering",
]

_last: Any = None


@contextmanager
def keeping(so_far: Callable[[], object]) -> Iterator[None]:
    """Whatever ends the body early has ``partial``: what ``so_far()`` returns then, or None."""
    try:
        yield
    except GeneratorExit:  # whoever took the steps has them
        raise
    except BaseException as error:
        error.partial = so_far()  # type: ignore[attr-defined]
        raise


@contextmanager
def remembering() -> Iterator[None]:
    """What :func:`keeping` gives to an error inside is remembered for :func:`kept_result`."""
    try:
        yield
    except BaseException as error:
        if partial_of(error) is not None:
            remember(error, partial_of(error))
        raise


def partial_of(error: BaseException) -> Any:
    """What had been computed before an error; None for nothing."""
    return getattr(error, "partial", None)


def is_stop(error: BaseException) -> bool:
    """Whether this was asked for, or is a call that makes no sense; it is raised."""
    asked = JobCancelled, ParameterError
    return isinstance(error, asked) or not isinstance(error, Exception)


def remember(error: BaseException, partial: object) -> None:
    """Keep what had been computed before a stop, for :func:`kept_result`."""
    global _last
    _last = error.partial = partial  # type: ignore[attr-defined]
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(f"What was computed is kept: vit_attention_widget.kept_result() ({partial})")


def kept_result() -> Any:
    """What was computed before the last Ctrl-C, stop button or cancel.

    An interrupted call returns nothing; this is what it would have returned for the part that was
    done. Most functions continue from it with ``start=``.

    Returns
    -------
    result or None
        The result, so far, of the function that was last interrupted; None if none was.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> def stop(fraction, label):
    ...     if fraction > 0.5:
    ...         raise KeyboardInterrupt
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> try:
    ...     importance = vaw.head_importance(model, scene.image, progress=stop)
    ... except KeyboardInterrupt:
    ...     importance = vaw.kept_result()
    >>> importance.complete
    False
    >>> importance = vaw.head_importance(model, scene.image, start=importance)
    >>> importance.complete
    True
    """
    return _last


def free_frames(error: BaseException) -> None:
    """Let go of what the functions held that an error came through: traces, activations.

    An error that a result keeps would hold gigabytes otherwise; its traceback stays readable.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__
