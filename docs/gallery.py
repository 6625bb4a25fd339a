"""Write the gallery's widgets: ``python docs/gallery.py FOLDER``, and the picture of the README.

``python docs/gallery.py --picture`` takes docs/explorer.webp of the Explorer's page in Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

import vit_attention_widget as vaw

sys.path.insert(0, str(Path(__file__).parents[1]))

WIDGETS = {
    "explorer": vaw.Explorer,
    "attention_inspector": vaw.AttentionInspector,
    "daam_scrubber": vaw.DAAMScrubber,
    "head_grid": vaw.HeadImportanceGrid,
    "head_strength": vaw.HeadStrengthView,
    "compare_view": vaw.CompareView,
}
PICTURE = Path(__file__).parent / "explorer.webp"


def write(folder: Path, names: tuple[str, ...] = tuple(WIDGETS)) -> None:
    """Write each widget into a file of its own, all of one session."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = vaw.demo.two_objects(208, ("heart", "star"))
    session = vaw.Session(vaw.demo.load_model(), scene.image)
    for name in names:
        print(WIDGETS[name](session=session).to_html(folder / f"{name}.html"))
    session.close()


def take_picture() -> None:
    """What stands at the top of the README and of the site."""
    from PIL import Image

    from tests.browser.chromium import at_hand

    with tempfile.TemporaryDirectory() as folder, at_hand() as browser:
        write(Path(folder), ("explorer",))
        page = browser.new_page(viewport={"width": 1200, "height": 900}, device_scale_factor=1)
        page.goto((Path(folder) / "explorer.html").as_uri())
        page.get_by_test_id("heads-canvas").first.wait_for()
        page.wait_for_timeout(500)  # the map on the picture comes in
        Image.open(BytesIO(page.screenshot())).save(PICTURE, quality=88)


if __name__ == "__main__":
    if "--picture" in sys.argv:
        take_picture()
    else:
        write(Path(sys.argv[1]))
