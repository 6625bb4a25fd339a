"""Where each token of a sequence lies: prefix tokens by name, then the patch grid row by row."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

from ..errors import TokenLayoutError

if TYPE_CHECKING:
    import torch

__all__ = ["TokenLayout"]


@dataclass(frozen=True)
class TokenLayout:
    """The token sequence of one input size: prefix tokens first, then patches row by row.

    Parameters
    ----------
    prefix : tuple of str
        Names of the tokens before the patches, e.g. ``("class", "register 0")``; may be empty.
    rows, cols : int
        The patch grid of this input; it need not be square.
    patch_height, patch_width : int
        Size of a patch in pixels of the model's input.

    Raises
    ------
    TokenLayoutError
        If the grid or the patch is empty.
    """

    prefix: tuple[str, ...]
    rows: int
    cols: int
    patch_height: int
    patch_width: int

    def __post_init__(self) -> None:
        if min(self.rows, self.cols, self.patch_height, self.patch_width) < 1:
            raise TokenLayoutError(
                f"A grid of {self.rows} x {self.cols} patches of {self.patch_height} x "
                f"{self.patch_width} pixels is empty: give the model a larger image."
            )

    @property
    def num_prefix(self) -> int:
        """Number of tokens before the first patch."""
        return len(self.prefix)

    @property
    def num_patches(self) -> int:
        """Number of patch tokens."""
        return self.rows * self.cols

    @property
    def num_tokens(self) -> int:
        """Length of the sequence."""
        return self.num_prefix + self.num_patches

    @property
    def class_token(self) -> int | None:
        """Index of the class token in the sequence; None without one."""
        return self.prefix.index("class") if "class" in self.prefix else None

    @property
    def image_height(self) -> int:
        """Height in pixels of what the patches cover."""
        return self.rows * self.patch_height

    @property
    def image_width(self) -> int:
        """Width in pixels of what the patches cover."""
        return self.cols * self.patch_width

    def token(self, row: int, col: int) -> int:
        """Index in the sequence of the patch at ``row``, ``col``."""
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            raise TokenLayoutError(
                f"There is no patch ({row}, {col}): rows run from 0 to {self.rows - 1}, "
                f"columns from 0 to {self.cols - 1}."
            )
        return self.num_prefix + row * self.cols + col

    def position(self, token: int) -> tuple[int, int] | None:
        """Row and column of a patch token, or None for a prefix token."""
        self.check(token)
        if token < self.num_prefix:
            return None
        return divmod(token - self.num_prefix, self.cols)

    def name(self, token: int) -> str:
        """What a person calls the token: ``"class"`` or ``"patch (3, 5)"``."""
        position = self.position(token)
        return self.prefix[token] if position is None else f"patch {position}"

    def box(self, row: int, col: int) -> tuple[int, int, int, int]:
        """Pixels of a patch as (top, left, bottom, right), the last two exclusive."""
        self.token(row, col)
        top, left = row * self.patch_height, col * self.patch_width
        return top, left, top + self.patch_height, left + self.patch_width

    def patch_at(self, y: float, x: float) -> tuple[int, int]:
        """Row and column of the patch under pixel (y, x) of the model's input."""
        row, col = int(y // self.patch_height), int(x // self.patch_width)
        self.token(row, col)
        return row, col

    def to_grid(self, values: torch.Tensor) -> torch.Tensor:
        """Drop the prefix tokens and fold the last axis: [..., token] -> [..., row, col]."""
        if values.shape[-1] != self.num_tokens:
            raise TokenLayoutError(
                f"Expected {self.num_tokens} tokens ({self.num_prefix} prefix tokens and "
                f"{self.rows} x {self.cols} patches) on the last axis, "
                f"got a shape of {tuple(values.shape)}."
            )
        grid: torch.Tensor = values[..., self.num_prefix :].unflatten(-1, (self.rows, self.cols))
        return grid

    def check(self, token: SupportsIndex) -> int:
        """``token`` as an int; :class:`TokenLayoutError` unless it is an index of the sequence."""
        index = operator.index(token) if hasattr(token, "__index__") else -1
        if not 0 <= index < self.num_tokens:
            raise TokenLayoutError(
                f"There is no token {token!r}: the sequence has {self.num_tokens} tokens, "
                f"0 to {self.num_tokens - 1} ({self.num_prefix} prefix tokens, then the patches)."
            )
        return index
