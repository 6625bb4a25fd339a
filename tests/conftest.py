"""Idle threads must not spin while another process computes; and what several tests look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import nn

    import vit_attention_widget as vaw

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    """The bundled model on a scene, with all that follows from it computed."""
    import vit_attention_widget as vaw

    made = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    made.wait()
    yield made
    made.close()


@pytest.fixture(scope="session")
def clip() -> nn.Module:
    """A small CLIP model of open_clip, with random weights."""
    from libraries import tiny_clip

    return tiny_clip()
