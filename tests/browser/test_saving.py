"""Every panel is saved as PNG, SVG and CSV: with its title, its scale and its words, as words."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page

import vit_attention_widget as vaw
from vit_attention_widget.widgets.explorer import PANELS

pytestmark = pytest.mark.browser

MARKUP = "<b>ring</b><script>alert(1)</script>&amp;"
SVG = "{http://www.w3.org/2000/svg}"
SAVED = {
    "picture": ("Picture", '"map","row","column","value"', 1 + 100),
    "decision": ("Decision", '"class","name","now","before"', 1 + 5),
    "heads": ("Heads", '"layer","head","probability"', 1 + 24),
    "layers": ("Layers", '"map","row","column","value"', 1 + 600),
    "matrix": ("Attention matrix: layer 2, head 1", '"query","0","1"', 1 + 101),
    "strength": ("Attention distance and entropy", '"layer","head","entropy (nats)"', 1 + 24),
    "images": ("Images by head importance", '"image","file","label","predicted"', 1 + 3),
    "compare": ("Compare maps", '"rank correlation","DAAM"', 1 + 9),
}
"""Title, the head of the table, and its lines."""


@pytest.fixture(scope="module")
def page(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    scenes = [vaw.demo.scene(seed=seed) for seed in range(3)]
    names = [MARKUP if kind == "ring" else kind for kind in vaw.demo.KINDS]
    session = vaw.Session(
        vaw.demo.load_model(), scenes[1].image, class_names=names, selected_layer=2,
        selected_head=1, image_set=[(scene.image, scene.label) for scene in scenes],
    )  # fmt: skip
    session.prune_partly(2, 1)
    for ask in (session.measure_strength, session.show_images, session.compare_maps):
        ask()
        session.wait()
    file = tmp_path_factory.mktemp("page") / "page.html"
    vaw.Explorer(session=session, panels=PANELS).to_html(file)
    session.close()
    page = chromium.new_page(viewport={"width": 980, "height": 1000})
    page.set_default_timeout(10_000)
    page.goto(file.as_uri())
    page.locator("[data-testid=compare-maps]").wait_for()
    page.wait_for_timeout(600)
    yield page
    page.close()


def saved(page: Page, name: str, way: str) -> bytes:
    page.locator(f"[data-testid=save-{name}]").click()
    with page.expect_download() as download:
        page.locator(f"[data-testid=save-{name}-{way}]").click()
    assert download.value.suggested_filename == f"{name}.{way.lower()}"
    return Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("name", SAVED)
def test_a_panel_is_saved(page: Page, name: str) -> None:
    title, header, lines = SAVED[name]
    drawing = ElementTree.fromstring(saved(page, name, "SVG"))
    words = [element.text or "" for element in drawing.iter(f"{SVG}text")]
    assert words[0] == title
    panel = page.locator(".vaw-panel", has=page.locator(f"[data-testid=save-{name}]"))
    bars = panel.locator(".vaw-colorbar:visible")
    gradients = list(drawing.iter(f"{SVG}linearGradient"))
    assert len(gradients) >= bars.count()
    for says in bars.locator("> span:not(.vaw-colorbar-strip)").all_inner_texts():
        assert says in words
    kinds = {element.tag.split("}")[1] for element in drawing.iter()}
    assert not kinds & {"script", "b", "foreignObject"}
    picture = saved(page, name, "PNG")
    assert picture.startswith(b"\x89PNG")
    size = struct.unpack(">II", picture[16:24])
    assert size == (2 * int(drawing.get("width", 0)), 2 * int(drawing.get("height", 0)))
    table = saved(page, name, "CSV").decode()
    assert table.startswith(header)
    assert len(table.split("\r\n")) == lines


def test_parts_of_one_head_are_saved(page: Page) -> None:
    page.locator("[data-testid=fold-partial]").click()
    drawing = ElementTree.fromstring(saved(page, "parts", "SVG"))
    words = " ".join(element.text or "" for element in drawing.iter(f"{SVG}text"))
    assert "Parts of one head" in words
    assert "class row and column without corner" in words
    assert len(list(drawing.iter(f"{SVG}rect"))) >= 6 * 4  # what is zeroed, as a small drawing
    assert saved(page, "parts", "PNG").startswith(b"\x89PNG")
    table = saved(page, "parts", "CSV").decode().split("\r\n")
    assert table[0] == '"layer","head","zeroed","left","largest"'
    assert len(table) == 1 + 6
    page.locator("[data-testid=fold-partial]").click()


def test_words_of_the_model_stay_words(page: Page) -> None:
    text = saved(page, "decision", "SVG").decode()
    words = [element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")]
    assert MARKUP in words
    assert "<b>" not in text


def test_what_is_drawn_stands_where_it_stood_but_for_gaps(page: Page) -> None:
    """The pictures of the heads and their numbers, without the controls between and beside them."""
    drawing = ElementTree.fromstring(saved(page, "heads", "SVG"))
    [image] = list(drawing.iter(f"{SVG}image"))
    shown = page.locator("[data-testid=heads-canvas]").bounding_box()
    assert shown is not None
    assert float(image.get("width", 0)) == pytest.approx(shown["width"], abs=0.01)
    assert image.get("href", "").startswith("data:image/png;base64,")
    words = [element.text for element in drawing.iter(f"{SVG}text")]
    assert {"0", "5", "removing", "hurts"} <= {
        part for word in words for part in (word or "").split()
    }
    assert not {"save", "grid", "undo", "metric"} & set(words)
