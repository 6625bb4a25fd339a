"""What the user looks at, shared by all widgets that show it."""

from __future__ import annotations

from .session import Session

__all__ = ["Session"]
