"""What an element says and a canvas shows, once the page has come so far."""

from __future__ import annotations

import re

from playwright.sync_api import Locator


def beginning(words: str) -> re.Pattern[str]:
    """A text that begins with these words."""
    return re.compile(rf"^\s*{re.escape(words)}")


def ending(words: str) -> re.Pattern[str]:
    """A text that ends with these words."""
    return re.compile(rf"{re.escape(words)}\s*$")


PIXELS = "(canvas) => canvas.toDataURL()"


def check_repainted(canvas: Locator, before: str) -> None:
    """A canvas soon shows something other than these ``PIXELS``."""
    script = "([canvas, before]) => canvas.toDataURL() !== before"
    canvas.page.wait_for_function(script, arg=[canvas.element_handle(), before], timeout=15_000)
