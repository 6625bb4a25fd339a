"""A kernel that restarts, and a notebook that was saved: what is there works, the rest is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .jupyterlab import APP, KERNEL, Host, Lab, written
from .texts import PIXELS, beginning, check_repainted, ending

CELL = """\
import vit_attention_widget as vaw
explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image, overlay="attention")
explorer.wait()
explorer"""

EXPLORER = ".jp-OutputArea .vaw-explorer"
NOTICE = ".jp-OutputArea [data-testid=kernel-notice]"
SAVES_STATE = f"""async () => {{
  const settings = {APP}.serviceManager.settings;
  await settings.save("@jupyter-widgets/jupyterlab-manager:plugin", '{{"saveState": true}}');
}}"""


@pytest.fixture(scope="module")
def lab(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with host.opened(written([CELL], tmp_path_factory)) as lab:
        lab.page.evaluate(SAVES_STATE)
        lab.page.reload()
        lab.page.wait_for_selector(".jp-Notebook .jp-Cell")
        lab.page.wait_for_function(f"() => {KERNEL}?.status === 'idle'")
        lab.run_all()
        lab.page.locator(f"{EXPLORER} [data-testid=headline]").wait_for()
        lab.wait_quiet()  # attention of all layers has come, and the first answer
        yield lab


def check_that_what_is_there_works(lab: Lab) -> None:
    says = lab.page.locator(f"{EXPLORER} [data-testid=picture-says]")
    lab.page.locator(f"{EXPLORER} [data-testid=head-2-1]").click()
    expect(says).to_have_text(ending("layer 2, head 1"))
    picture = lab.page.locator(f"{EXPLORER} [data-testid=patch-canvas]")
    picture.click(position={"x": 60, "y": 60})
    expect(says).to_have_text(beginning("patch ("))
    pixels = picture.evaluate(PIXELS)
    picture.hover(position={"x": 160, "y": 160})
    check_repainted(picture, pixels)
    lab.page.mouse.move(5, 5)
    lab.page.locator(f"{EXPLORER} [data-testid=view-detail]").click()
    lab.page.locator(f"{EXPLORER} [data-testid=matrix]").wait_for()  # of the code sent later
    lab.page.locator(f"{EXPLORER} [data-testid=view-detail]").click()
    headline = lab.page.locator(f"{EXPLORER} [data-testid=headline]").inner_text()
    notice = lab.page.locator(NOTICE)
    expect(notice).not_to_contain_text("needs the kernel")
    lab.page.locator(f"{EXPLORER} [data-testid=head-3-0]").hover()
    lab.page.locator(f"{EXPLORER} [data-testid=prune-3-0]").click()
    expect(notice).to_contain_text("needs the kernel")
    expect(lab.page.locator(f"{EXPLORER} [data-testid=headline]")).to_have_text(headline)
    expect(lab.page.locator(f"{EXPLORER} [data-testid=prune-3-0]")).to_have_text("×")


def test_a_widget_knows_its_kernel(lab: Lab) -> None:
    expect(lab.page.locator(NOTICE)).to_have_count(0)


def test_a_restarted_kernel_is_noticed(lab: Lab) -> None:
    lab.page.evaluate(f"async () => {{ await {KERNEL}.restart(); }}")
    lab.page.locator(NOTICE).wait_for(timeout=30_000)
    expect(lab.page.locator(NOTICE)).to_contain_text("restarted")
    check_that_what_is_there_works(lab)
    lab.screenshot("kernel-restarted", EXPLORER)
    lab.run_all()
    lab.page.locator(f"{EXPLORER} [data-testid=headline]").wait_for()
    lab.page.wait_for_timeout(5000)
    expect(lab.page.locator(NOTICE)).to_have_count(0)
    assert lab.until("print(explorer.wait(60))", "True") == "True"


def test_a_kernel_that_died_is_noticed(lab: Lab) -> None:
    die = f"(code) => {{ {KERNEL}.requestExecute({{ code }}); }}"
    lab.page.evaluate(die, "import os; os._exit(1)")
    lab.page.locator(NOTICE).wait_for(timeout=30_000)
    expect(lab.page.locator(NOTICE)).to_contain_text("restarted")
    lab.page.keyboard.press("Escape")
    for button in lab.page.locator(".jp-Dialog button").all():
        button.click()  # the notebook's own word on it
    lab.run_all()
    lab.page.locator(f"{EXPLORER} [data-testid=headline]").wait_for()
    lab.page.wait_for_timeout(5000)
    expect(lab.page.locator(NOTICE)).to_have_count(0)


def test_a_saved_widget_beside_another_kernel_says_so(lab: Lab) -> None:
    lab.page.evaluate(f"async () => {{ await {APP}.commands.execute('docmanager:save'); }}")
    lab.page.evaluate(f"async () => {{ await {KERNEL}.shutdown(); }}")
    lab.page.wait_for_timeout(1000)
    lab.page.reload()
    lab.page.locator(f"{EXPLORER} [data-testid=headline]").wait_for(timeout=90_000)
    lab.page.wait_for_function(f"() => {KERNEL}?.status === 'idle'", timeout=90_000)
    lab.page.locator(NOTICE).wait_for(timeout=30_000)
    expect(lab.page.locator(NOTICE)).to_contain_text("run the cell again")
    lab.page.locator(f"{EXPLORER} [data-testid=head-2-1]").click()
    says = lab.page.locator(f"{EXPLORER} [data-testid=picture-says]")
    expect(says).to_have_text(ending("layer 2, head 1"))
    lab.page.locator(f"{EXPLORER} [data-testid=patch-canvas]").click(position={"x": 60, "y": 60})
    expect(lab.page.locator(NOTICE)).to_contain_text("needs the kernel")  # that row was not saved
    expect(says).to_contain_text("class token")
    lab.page.locator(f"{EXPLORER} [data-testid=view-by_layer]").click()  # its code was saved too
    lab.page.locator(f"{EXPLORER} .vaw-by-layer .vaw-save").wait_for()
    lab.screenshot("saved-widget", EXPLORER)
