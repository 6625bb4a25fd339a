"""Prompts are typed in JupyterLab, and their maps stand side by side."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .jupyterlab import Host, Lab, written

pytestmark = pytest.mark.browser


def find(lab: Lab, testid: str):  # type: ignore[no-untyped-def]
    return lab.page.locator(f".jp-OutputArea .vaw-root [data-testid={testid}]").first


PROMPTED = """
import open_clip, torch
import vit_attention_widget as vaw

torch.manual_seed(0)
vision = {"image_size": 64, "patch_size": 8, "width": 48, "layers": 4, "head_width": 12}
text = {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
clip = open_clip.CLIP(16, vision, text).eval()
view = vaw.CompareView(clip, vaw.demo.scene(seed=1).image)
view
"""


def test_prompts_are_typed(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("open_clip")
    with host.opened(written([PROMPTED], tmp_path_factory)) as lab:
        lab.run_all(200)
        for number, prompt in enumerate(["a heart", "a <b>star</b>", "a tree"], 1):
            box = find(lab, "add-prompt")
            box.fill(prompt)
            box.press("Enter")
            there = f"print(len(view.session.prompts) == {number}, view.wait())"
            assert lab.until(there, "True True") == "True True"
        lab.page.get_by_role("radio", name="prompts").first.click()
        find(lab, "compare-2").wait_for(timeout=30_000)
        for prompt in ("a heart", "a <b>star</b>", "a tree"):
            expect(find(lab, "compare-maps")).to_contain_text(prompt)
        find(lab, "prompt-1").click()
        assert lab.until("print(view.target)", "1") == "1"
        lab.screenshot("trust-3-prompts")
        find(lab, "prompt-away-0").click()
        expected = "['a <b>star</b>', 'a tree'] 0"  # the same prompt is explained
        assert lab.until("print(view.session.prompts, view.target)", expected) == expected
