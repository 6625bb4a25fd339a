"""A call of a torch function as ``__torch_function__`` is given it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Args", "Kwargs", "TorchFunction"]

TorchFunction: TypeAlias = Callable[..., Any]
"""One of several hundred, told apart by identity or name."""

Args: TypeAlias = tuple[Any, ...]
"""Its positional arguments, of the types that this function takes."""

Kwargs: TypeAlias = dict[str, Any]
"""Its arguments by name."""
