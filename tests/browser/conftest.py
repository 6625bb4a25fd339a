"""One browser and one JupyterLab for all tests in the browser: each takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from .chromium import find, running
from .jupyterlab import Host, jupyterlab

expect.set_options(timeout=15_000)  # a busy machine's page, behind its kernel


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium that is there; tests are skipped by name where there is none."""
    path = find()
    if path is None:
        pytest.skip("no Chromium was found, and none could be installed")
    with running(path) as browser:
        yield browser


@pytest.fixture(scope="session")
def host(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A JupyterLab, in which each module opens a notebook of its own."""
    with jupyterlab(tmp_path_factory.mktemp("host"), chromium) as host:
        yield host
