"""How many pixels a picture may have, and words that every refusal of one shares."""

from __future__ import annotations

from ..errors import ImageError

__all__ = ["ACCEPTED", "PIXEL_LIMIT", "check_size", "limit_advice", "shorten"]

PIXEL_LIMIT = 100_000_000
"""Most pixels a picture may have: 10,000 x 10,000, 300 MB decoded. Any aspect ratio is fine."""

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


def limit_advice() -> str:
    """What to do with a picture of too many pixels."""
    return (
        f"Expected at most {PIXEL_LIMIT:,}. Make it smaller first: "
        "the model looks at a small version of it anyway."
    )


def shorten(text: str, limit: int = 120) -> str:
    """The beginning and the end of a text that is too long for a message."""
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-12:]}"
