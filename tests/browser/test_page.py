"""A page of its own: opened from the disk with the network off, it does all that needs no model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import vit_attention_widget as vaw

from .texts import beginning, ending

pytestmark = pytest.mark.browser

MARKUP = '</script><img src="https://example.org/x.png" onerror="window.broken = 1"><b>ring</b>'
NEEDS = "Needs the model: open the notebook."


class Opened:
    """A page that was opened, and all that it asked the network for or said in the console."""

    def __init__(self, browser: Browser, file: Path) -> None:
        context = browser.new_context(
            viewport={"width": 980, "height": 1000}, offline=True, accept_downloads=True
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(file.as_uri())
        self.page.locator("[data-testid=headline]").first.wait_for()

    def see(self, testid: str, widget: int = 0) -> Locator:
        place = self.page.locator("[data-vaw-widget]").nth(widget)
        return place.locator(f"[data-testid={testid}]").first

    def alert(self) -> Locator:
        return self.page.locator("[role=alert]").first


@pytest.fixture(scope="module")
def session() -> Iterator[vaw.Session]:
    names = [MARKUP if kind == "ring" else kind for kind in vaw.demo.KINDS]
    session = vaw.Session(
        vaw.demo.load_model(), vaw.demo.two_objects(208, ("heart", "star")).image,
        class_names=names, selected_layer=2,
    )  # fmt: skip
    session.wait()
    yield session
    session.close()


@pytest.fixture(scope="module")
def file(session: vaw.Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    panels = ["picture", "decision", "heads", "film", "detail", "strength", "compare", "changes"]
    widgets = [
        vaw.Explorer(session=session, panels=panels),
        vaw.HeadImportanceGrid(session=session),
    ]
    vaw.to_html(widgets, path, classes=[MARKUP, "star"])
    return path


@pytest.fixture
def opened(chromium: Browser, file: Path) -> Iterator[Opened]:
    opened = Opened(chromium, file)
    yield opened
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("blob:")] == [file.as_uri()]
    assert opened.page.evaluate("window.broken") is None
    opened.page.context.close()


def test_what_needs_no_model_works(opened: Opened, session: vaw.Session) -> None:
    page = opened.page
    expect(opened.see("headline")).to_contain_text("heart")
    page.locator("[data-testid=compare-maps]").wait_for()
    page.locator("[data-testid=strength-says]").wait_for()
    page.locator("[data-testid=head-detail], [data-testid=matrix]").first.wait_for()
    assert NEEDS not in page.locator("[data-vaw-widget]").first.inner_text().replace(
        opened.see("changes-nothing").inner_text(), ""
    )
    page.keyboard.press("Escape")
    page.locator("select").filter(has_text="rollout").first.select_option("rollout")
    expect(page.locator("[role=alert]")).to_have_count(0)


def test_the_decision_without_one_head_is_that_of_the_model(
    opened: Opened, session: vaw.Session
) -> None:
    layer, head = 3, 2
    target = session.target
    trace = vaw.trace(session.described, session.image, target, head_mask=[(layer, head)])
    after = float(trace.probabilities[0, target])
    opened.page.locator(f"[data-testid=head-{layer}-{head}]").first.click()
    opened.page.keyboard.press("p")
    row = opened.page.locator("[data-testid=decision] tr.vaw-target").first
    row.locator(".vaw-was").wait_for()
    shown = [float(number) for number in row.locator(".vaw-number").all_inner_texts()]
    before = float(session.trace.probabilities[0, target])
    assert shown == pytest.approx([after, before], abs=0.001)
    expect(opened.alert()).to_contain_text("decision alone")
    expect(opened.see("headline", 1)).to_contain_text("was")  # the widgets are linked
    other = opened.page.locator("[data-testid=head-4-1]").first
    other.click()
    opened.page.keyboard.press("p")
    expect(opened.alert()).to_have_text(ending(NEEDS))
    expect(opened.alert()).to_contain_text("several")
    opened.page.keyboard.press("z")  # the head that was chosen
    expect(opened.see("headline", 1)).to_contain_text("was")
    opened.page.keyboard.press("z")  # the head that was pruned
    expect(opened.see("headline", 1)).not_to_contain_text("was")
    expect(opened.page.locator("[role=alert]")).to_have_count(0)


def test_classes_that_were_asked_for_are_explained(opened: Opened) -> None:
    page = opened.page
    star = vaw.demo.KINDS.index("star")
    page.locator(f"[data-testid=explain-{star}]").first.click()
    page.locator(f"[data-testid=explain-{star}][aria-pressed=true]").first.wait_for()
    expect(page.locator("[role=alert]")).to_have_count(0)
    page.get_by_text("each method, for star").wait_for()
    page.get_by_role("radio", name="layers", exact=True).click()
    page.get_by_text("for star, after each layer").wait_for()
    moon = vaw.demo.KINDS.index("moon")
    page.locator(f"[data-testid=explain-{moon}]").first.click()
    expect(opened.alert()).to_contain_text("not asked for")
    expect(page.locator(f"[data-testid=explain-{star}][aria-pressed=true]").first).to_be_attached()


def test_a_page_saves_itself_with_what_is_selected(
    opened: Opened, chromium: Browser, tmp_path: Path
) -> None:
    page = opened.page
    page.locator("[data-testid=head-1-3]").first.click()
    star = vaw.demo.KINDS.index("star")
    page.locator(f"[data-testid=explain-{star}]").first.click()
    with page.expect_download() as download:
        page.locator("[data-testid=save-page]").first.click()
    copy = tmp_path / "copy.html"
    download.value.save_as(copy)
    again = Opened(chromium, copy)
    expect(
        again.page.locator(f"[data-testid=explain-{star}][aria-pressed=true]").first
    ).to_be_attached()
    expect(again.page.get_by_text("layer 1, head 3").first).to_be_attached()
    assert again.said == []


def test_nothing_of_a_user_or_model_is_markup(file: Path) -> None:
    html = file.read_text()
    assert "example.org" not in html
    parts = re.findall(r"<script type=\"application/gzip\"[^>]*>([^<]*)</script>", html)
    assert len(parts) > 5
    assert html.lower().count("</script") == len(parts) + 1
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", text) for text in parts)


def test_a_browser_that_cannot_show_the_page_says_so(chromium: Browser, file: Path) -> None:
    page = chromium.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(file.as_uri())
    words = page.locator("[role=alert]")
    problem = "This page cannot be shown: DecompressionStream is not defined."
    expect(words).to_have_text(beginning(problem))
    expect(words).to_contain_text("browser of 2023")
    page.close()
