"""Tables as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .files import replaced

__all__ = ["Row", "write_csv"]

Row: TypeAlias = dict[str, Any]
"""A row of a table by its columns' names, each of its own type: a number, a text, or None."""

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same names as a table.

    Text that a spreadsheet would take for a formula (``=``, ``+``, ``-`` or ``@`` first) begins
    with an apostrophe there; numbers stay numbers.

    Raises
    ------
    ParameterError
        If the file cannot be written.
    """
    names = list(rows[0]) if rows else []
    with replaced(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([_harmless(name) for name in names])
        writer.writerows([_harmless(row[name]) for name in names] for row in rows)


def _harmless(cell: object) -> object:
    """Text that no spreadsheet runs (CWE-1236); anything else as it is."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_STARTS) else cell
