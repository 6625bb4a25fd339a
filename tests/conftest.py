"""Idle threads must not spin while another process computes; and what several tests look at."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import nn
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

    import vit_attention_widget as vaw

# Before torch is imported:
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core, and its kernels with it
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Tests of a file share a process, and with it what they have made; so do all in the browser.

    In the order of the files, whose longest do not come last.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browser" if "tests/browser/" in nodeid else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_finish() -> None:
    """What was imported stays: no collection need look through a million objects again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _as_if_first() -> Iterator[None]:
    """Whichever tests ran before in the process: the same random numbers, as many threads."""
    import torch

    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    """The bundled model on a scene, with all that follows from it computed."""
    import vit_attention_widget as vaw

    made = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    made.wait()
    yield made
    made.close()


@pytest.fixture(scope="session")
def patterns() -> vaw.AttentionPatterns:
    """What the heads of the bundled model do on the first five scenes, each looked at by itself.

    So a scene that is looked at again has the same numbers to the bit.
    """
    import vit_attention_widget as vaw

    model, scenes = vaw.demo.load_model(), [vaw.demo.scene(seed=s).image for s in range(5)]
    traces = [vaw.trace(model, scene, gradients=False) for scene in scenes]
    return vaw.AttentionPatterns(seeds=1).fit(traces)


@pytest.fixture(scope="session")
def clip() -> nn.Module:
    """A small CLIP model of open_clip, with random weights."""
    from libraries import tiny_clip

    return tiny_clip()
