"""How many pixels a picture may have, and words that every refusal of one shares."""

from __future__ import annotations

from ..errors import ImageError

__all__ = [
    "ACCEPTED",
    "PIXEL_LIMIT",
    "check_resized",
    "check_size",
    "limit_advice",
    "out_of_memory",
]

PIXEL_LIMIT = 100_000_000
"""Most pixels a picture may have: 10,000 x 10,000, 300 MB decoded.

The same goes for what it becomes where its shorter side is resized to the model's input.
"""

ACCEPTED = (
    "Expected the path of an image file, its bytes, an open binary file, a PIL image, or a uint8 "
    "array [height, width, 3]."
)


def check_size(height: int, width: int, name: str) -> None:
    """Raise :class:`ImageError` unless a picture has 1 to ``PIXEL_LIMIT`` pixels."""
    if height < 1 or width < 1:
        raise ImageError(
            f"{name} is empty: {height} x {width} pixels. {ACCEPTED} One pixel is enough."
        )
    if height * width > PIXEL_LIMIT:
        raise ImageError(
            f"{name} has {height} x {width} = {height * width:,} pixels. {limit_advice()}"
        )


def check_resized(height: int, width: int, input_size: tuple[int, int], name: str) -> None:
    """Raise :class:`ImageError` if a thin picture is huge once its shorter side is resized.

    Most preparations resize the shorter side to the model's input and crop the middle, so that
    200,000 x 1 pixels become 45,000,000 x 224 on their way. How a preparation works cannot be seen
    from outside, so all are taken to work so.
    """
    side = max(input_size)
    pixels = side * side * max(height, width) // min(height, width)
    if pixels > PIXEL_LIMIT:
        raise ImageError(
            f"{name} has {height} x {width} pixels: with its shorter side resized to the {side} "
            f"of the model's input it has {pixels:,}. Expected at most {PIXEL_LIMIT:,}. Crop it to "
            "the part that the model is to see."
        )


def limit_advice() -> str:
    """What to do with a picture of too many pixels."""
    return (
        f"Expected at most {PIXEL_LIMIT:,}. Make it smaller first: "
        "the model looks at a small version of it anyway."
    )


def out_of_memory(name: str) -> ImageError:
    """The error for a picture that there is no memory for."""
    return ImageError(f"{name} needs more memory than there is. Make the picture smaller first.")
