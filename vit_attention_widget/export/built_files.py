"""The browser's part of the widgets: what was built from ``js/``."""

from __future__ import annotations

from pathlib import Path

from ..errors import ParameterError

__all__ = ["STATIC", "built_file"]

STATIC = Path(__file__).parent.parent / "static"


def built_file(name: str) -> Path:
    """A file of the browser's part.

    Raises
    ------
    ParameterError
        If it was not built.
    """
    path = STATIC / name
    if not path.exists():
        raise ParameterError(
            f"The browser's part is missing ({name}): run `make build` in a checkout, or install a "
            "wheel."
        )
    return path
