"""Pages of their own: widgets with all that was computed, in one file that needs no notebook."""

from __future__ import annotations

from .complete import Exportable
from .result import ExportedPage
from .run import to_html

__all__ = ["Exportable", "ExportedPage", "to_html"]
