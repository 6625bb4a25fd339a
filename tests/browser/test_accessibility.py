"""axe-core finds nothing in any widget: light and dark, wide and narrow, with everything open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import vit_attention_widget as vaw
from tests.browser_fixtures import asked_for_everything
from vit_attention_widget.widgets.explorer import PANELS

from .jupyterlab import ARTIFACTS

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
WIDGETS = {
    widget.stem: widget
    for widget in (
        vaw.Explorer,
        vaw.HeadImportanceGrid,
        vaw.DAAMScrubber,
        vaw.AttentionInspector,
        vaw.HeadStrengthView,
        vaw.AttentionPatternMap,
        vaw.CompareView,
    )
}
OPENED = ["fold-partial", "fold-curve", "fold-colors"]
"""What is folded away at first."""

VIOLATIONS = """async () => {
  const { violations } = await axe.run("[data-vaw-widget]", { resultTypes: ["violations"] });
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ target }) => `${id} (${impact}): ${target.flat().at(-1)}`));
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page for each widget, light and dark, of a session that found everything."""
    session = asked_for_everything()
    folder = tmp_path_factory.mktemp("pages")
    for stem, widget in WIDGETS.items():
        shown = widget(session=session)
        if isinstance(shown, vaw.Explorer):
            shown.panels = list(PANELS)
        for theme in ("light", "dark"):
            shown.to_html(folder / f"{stem}-{theme}.html", theme=theme)
    session.close()
    return folder


def opened(chromium: Browser, pages: Path, stem: str, theme: str, **how: Any) -> Page:
    ARTIFACTS.mkdir(exist_ok=True)
    page = chromium.new_page(viewport={"width": 980, "height": 1000}, **how)
    page.goto((pages / f"{stem}-{theme}.html").as_uri())
    page.locator(".vaw-panel").first.wait_for()
    page.wait_for_timeout(600)
    for testid in OPENED:
        for fold in page.locator(f"[data-testid={testid}]").all():
            fold.click()
    page.wait_for_timeout(200)
    return page


def findings(page: Page) -> list[str]:
    return page.evaluate(VIOLATIONS)  # type: ignore[no-any-return]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("stem", WIDGETS)
def test_axe_finds_nothing(chromium: Browser, pages: Path, stem: str, theme: str) -> None:
    page = opened(chromium, pages, stem, theme)
    page.add_script_tag(path=AXE)
    for width in (980, 420):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(200)
        assert findings(page) == []
    page.locator(".vaw-help-button").click()
    for box in page.locator("[role=combobox]").all():
        box.click()
        assert findings(page) == []
    page.close()


def test_axe_finds_what_is_wrong(chromium: Browser, pages: Path) -> None:
    """It looks into the widget's own tree."""
    page = opened(chromium, pages, "daam_scrubber", "light")
    page.add_script_tag(path=AXE)
    page.locator("[data-testid=layer-slider]").evaluate("(it) => it.removeAttribute('aria-label')")
    page.locator(".vaw-panel h3").evaluate("(it) => { it.style.color = '#cccccc' }")
    lines = findings(page)
    assert [line.split(" (")[0] for line in lines] == ["color-contrast", "label"]
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_chosen_shows_in_the_systems_colors(
    chromium: Browser, pages: Path, theme: str
) -> None:
    page = opened(chromium, pages, "explorer", theme, forced_colors="active")
    radios = page.locator("[data-testid=head-view] [role=radio]")
    looks = "(it) => [getComputedStyle(it).color, getComputedStyle(it).backgroundColor].join()"
    chosen, other = radios.nth(0).evaluate(looks), radios.nth(1).evaluate(looks)
    expect(radios.nth(0)).to_have_attribute("aria-checked", "true")
    assert chosen != other
    strip = page.locator(".vaw-colorbar-strip").first
    assert "gradient" in strip.evaluate("(it) => getComputedStyle(it).backgroundImage")
    page.screenshot(path=ARTIFACTS / f"forced-colors-{theme}.png", full_page=True)
    page.close()


def test_nothing_moves_by_itself_for_those_who_ask(chromium: Browser, pages: Path) -> None:
    page = opened(chromium, pages, "explorer", "light", reduced_motion="reduce")
    running = """(root) => [root, ...root.querySelectorAll("*")].filter((element) => {
      const { animationName, transitionDuration } = getComputedStyle(element);
      return animationName !== "none" || parseFloat(transitionDuration) > 0;
    }).map((element) => element.className)"""
    assert page.locator(".vaw-root").evaluate(running) == []
    page.close()
