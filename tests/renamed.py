"""How the tests look for warnings of old names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from vit_attention_widget.support.deprecation import REMOVED_IN


def warned(text: str) -> AbstractContextManager[None]:
    """``text``, such as "f is now g", is warned of once or more, about a line of the caller."""
    return _warned(text, sys._getframe(1).f_code.co_filename)


@contextmanager
def _warned(text: str, filename: str) -> Iterator[None]:
    with pytest.warns(DeprecationWarning, match="the old name goes") as record:
        yield
    messages = {(str(each.message), each.filename) for each in record}
    assert messages == {(f"{text}; the old name goes in release {REMOVED_IN}.", filename)}
