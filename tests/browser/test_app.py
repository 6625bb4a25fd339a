"""``vaw`` as people call it: a page of this machine alone, and nothing left when it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@dataclass
class Command:
    """The command, running, and where it says its page is."""

    process: subprocess.Popen[str]
    address: str


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (90, 80), "teal").save(folder / ".cat.png")  # a hidden file
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "vit_attention_widget",
            ".cat.png",
            "--no-browser",
            *("--theme", "dark"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    try:
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        address = re.search(r"http://\S+", said)
        assert address, said
        yield Command(process, address[0])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_the_page_is_for_this_machine_and_those_with_the_token(command: Command) -> None:
    connections = psutil.Process(command.process.pid).net_connections("tcp")
    assert {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    bare = command.address.partition("?")[0]
    for address in (bare, bare + "?token=wrong"):
        with urllib.request.urlopen(address) as answer:  # the form that asks for the token
            assert "/login" in answer.url
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(bare + "voila/files/cat.ipynb")
    assert not psutil.Process(command.process.pid).children()  # no kernel was started for it


def test_it_shows_the_picture_and_ends_with_ctrl_c(chromium: Browser, command: Command) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        answered: list[str] = []
        page.on("response", lambda response: answered.append(response.url))
        page.goto(command.address, timeout=120_000)
        page.get_by_text("cat.png").first.wait_for(timeout=60_000)
        page.locator("[data-testid=heads-canvas]").first.wait_for(timeout=60_000)
        assert page.title() == "cat"
        ground = "(root) => getComputedStyle(root).backgroundColor"
        red, *_ = page.locator(".vaw-root").evaluate(ground)[4:].split(",")
        assert int(red) < 50  # it is dark
        assert not [
            u for u in answered if not u.startswith(("http://127.0.0.1:", "data:", "blob:"))
        ]
        children = psutil.Process(command.process.pid).children(recursive=True)
        assert len(children) == 1  # one kernel
        command.process.send_signal(signal.SIGINT)
        said, _ = command.process.communicate(timeout=30)
    assert command.process.returncode == 0
    assert "Traceback" not in said
    assert not psutil.wait_procs(children, timeout=10)[1]
