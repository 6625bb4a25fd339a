"""Where each token of a sequence lies: prefix tokens by name, then the patch grid row by row."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

from ..errors import TokenLayoutError
from .map_area import WHOLE, Area

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
        From one patch to the next, in pixels of the model's input. Where patches overlap, what is
        called a patch is the middle part of what its token is made of.
    top, left : float
        Where the first patch begins, in pixels of the model's input: below 0 where the model pads
        it before the first row or column.
    picture : (int, int), optional
        Height and width of the model's input; that of all patches by default. A model may pad it to
        whole patches, or leave out its edge.

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
    top: float = 0.0
    left: float = 0.0
    picture: tuple[int, int] | None = None

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

    @property
    def area(self) -> Area:
        """Where the patches lie: top, left, bottom and right, as shares of the picture's size."""
        if self.picture is None:
            return WHOLE
        height, width = self.picture
        bottom, right = self.top + self.image_height, self.left + self.image_width
        return self.top / height, self.left / width, bottom / height, right / width

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
        """Pixels of a patch as (top, left, bottom, right), the last two exclusive.

        Those of the picture alone: of a patch that lies in the padding there are none.
        """
        self.token(row, col)
        height, width = self.picture or (self.image_height, self.image_width)
        tops = self._edge(self.top, self.patch_height, row, height)
        lefts = self._edge(self.left, self.patch_width, col, width)
        return tops[0], lefts[0], tops[1], lefts[1]

    @staticmethod
    def _edge(start: float, patch: int, index: int, length: int) -> tuple[int, int]:
        """First pixel of a patch on an axis and the first after it, by the pixels' centers."""
        first = math.ceil(start + index * patch - 0.5)
        return min(max(0, first), length), min(max(0, first + patch), length)

    def patch_at(self, y: float, x: float) -> tuple[int, int]:
        """Row and column of the patch at place (y, x) of the model's input, in pixels."""
        row = math.floor((y - self.top) / self.patch_height)
        col = math.floor((x - self.left) / self.patch_width)
        self.token(row, col)
        return row, col

    def patches_of_pixels(self, height: int, width: int) -> tuple[list[int], list[int]]:
        """Row of the patches for each row of pixels, and column for each column of pixels.

        Pixels beyond the outermost patches go with these.
        """
        axes = (
            (height, self.top, self.patch_height, self.rows),
            (width, self.left, self.patch_width, self.cols),
        )
        rows, cols = (
            [min(max(0, math.floor((i + 0.5 - start) / patch)), count - 1) for i in range(length)]
            for length, start, patch, count in axes
        )
        return rows, cols

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
