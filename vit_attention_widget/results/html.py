"""Results as HTML for notebooks. All text is escaped: names come from models and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["block", "notes", "table"]

_ROWS = 10
"""So many rows of a table are shown, so that a notebook stays small."""


def block(title: str, *parts: str) -> str:
    """A title above parts that are HTML already."""
    heading = f'<div style="font-weight:600;margin-bottom:4px">{escape(title)}</div>'
    return f'<div style="font-size:13px">{heading}{"".join(parts)}</div>'


def table(
    columns: Mapping[str, Sequence[object] | NDArray[np.generic]], *, limit: int = _ROWS
) -> str:
    """The first rows of a table, and how many there are more.

    Parameters
    ----------
    columns : mapping of str to sequence
        All of one length; numbers that are not whole get four significant digits.
    limit : int
        At most so many rows.
    """
    total = max(map(len, columns.values()), default=0)
    head = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in columns)
    rows = [
        "".join(_cell(values[i]) for values in columns.values()) for i in range(min(limit, total))
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    more = f"<div>... and {total - limit} more rows</div>" if total > limit else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def notes(lines: Sequence[str]) -> str:
    """Sentences below a table, one a line."""
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def _cell(value: object) -> str:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        text = "–" if value != value else f"{value:.4g}"
        return f'<td style="text-align:right">{text}</td>'
    align = "right" if isinstance(value, int) and not isinstance(value, bool) else "left"
    text = "–" if value is None else str(value)
    return f'<td style="text-align:{align}">{escape(text)}</td>'
