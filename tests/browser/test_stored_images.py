"""A folder of images in JupyterLab: it grows there, is moved about in, and opens images."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .jupyterlab import Host, Lab, written

pytestmark = pytest.mark.browser

CELLS = [
    """
import shutil
from pathlib import Path
import numpy as np
from PIL import Image
import vit_attention_widget as vaw
from tests.stored_images import Filling

model, paths = vaw.demo.load_model(), []
for seed in range(12):
    scene = vaw.demo.scene(seed=seed)
    paths.append((f"scene_{seed}.png", scene.label))
    Image.fromarray(scene.image).save(paths[-1][0])
vaw.image_overview(model, paths, metric="taylor", store="pictures")
filling = Filling(Path("filling"), vaw.describe(model), 2000)
filling.fill(512)
""",
    """
explorer = vaw.Explorer(
    model, scene.image, image_set="filling", panels=["picture", "images", "heads"]
)
explorer
""",
    """
pictures = vaw.Explorer(model, scene.image, image_set="pictures", panels=["picture", "images"])
pictures
""",
]


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written(CELLS, tmp_path_factory)) as lab:
        lab.page.set_viewport_size({"width": 1280, "height": 4200})
        lab.run_all(200)
        lab.page.get_by_test_id("stored-far").nth(1).wait_for(timeout=90_000)
        yield lab


def test_it_grows_in_the_browser_and_is_said_to_be_gone(lab: Lab) -> None:
    first = lab.page.get_by_test_id("stored-far").first
    expect(first).to_contain_text("512 of 2,000 images")
    lab.python("filling.fill(1024)")
    expect(first).to_contain_text("1,024 of 2,000 images", timeout=15_000)
    expect(lab.page.get_by_test_id("stored-head-says").first).to_contain_text("over 1,024 images")
    lab.page.get_by_test_id("stored-class").first.select_option("2")
    expect(lab.page.get_by_test_id("stored-head-says").first).to_contain_text("over those of")
    heads_of = lab.page.get_by_test_id("heads-of").first
    heads_of.get_by_role("radio", name="all images").click()
    expect(lab.page.get_by_test_id("readout").first).to_contain_text(
        re.compile(r"the mean over \d+ images of")
    )
    lab.python("shutil.rmtree('filling')")
    gone = lab.page.get_by_role("alert").filter(has_text="filling does not exist")
    expect(gone).to_be_visible(timeout=15_000)
    expect(first).to_contain_text("1,024 of 2,000 images")


def test_its_pictures_are_seen_moved_and_opened(lab: Lab) -> None:
    card = lab.page.get_by_test_id("stored-says").last
    number = lab.page.get_by_test_id("image-number").last
    number.fill("7")
    number.press("Enter")
    lab.until("print(pictures._model_info['image_name'])", "scene_7.png")
    expect(card).to_contain_text("scene_7.png")
    map_ = lab.page.get_by_test_id("stored-map").last
    lab.page.get_by_test_id("stored-larger").last.click()
    box = map_.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    whole = lab.page.get_by_test_id("stored-all").last
    lab.page.mouse.move(*middle)
    lab.page.mouse.down()
    lab.page.mouse.move(middle[0] + 80, middle[1] + 30, steps=4)
    lab.page.mouse.up()
    assert lab.python("print(pictures.selected_image)") == "7"  # a drag is no click
    whole.click()
    expect(whole).to_be_disabled()
    lab.screenshot("stored-images")
    lab.python("Path('scene_3.png').unlink()")
    number.fill("3")
    number.press("Enter")
    expect(card).to_contain_text("scene_7.png")  # what cannot be opened is set back
