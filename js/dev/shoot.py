"""Screenshots of pages at several widths.

``python js/dev/shoot.py page.html out-prefix [width ...] [--click TESTID ...]``
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.browser.chromium import at_hand


def main(page_path: str, prefix: str, widths: list[int], clicks: list[str]) -> None:
    with at_hand() as browser:
        for width in widths:
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("console", lambda message: print(message.type, message.text))
            page.on("pageerror", lambda error: print("error", error))
            page.goto(Path(page_path).resolve().as_uri())
            page.wait_for_timeout(700)
            for name in clicks:
                page.click(f"[data-testid={name}]" if name.replace("-", "").isalnum() else name)
                page.wait_for_timeout(150)
            wide = page.evaluate("document.documentElement.scrollWidth")
            print(width, "scrolls to" if wide > width else "fits", wide)
            page.screenshot(path=f"{prefix}-{width}.png", full_page=True)


if __name__ == "__main__":
    given = sys.argv[3:]
    at = given.index("--click") if "--click" in given else len(given)
    main(
        sys.argv[1],
        sys.argv[2],
        [int(w) for w in given[:at]] or [480, 720, 980, 1600],
        given[at + 1 :],
    )
