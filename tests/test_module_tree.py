"""Walks over the modules of a model see what PyTorch's own see, in the same order."""

from __future__ import annotations

import pytest
import timm
from torch import nn

from vit_attention_widget.support.module_tree import modules_of, paths_of


def shared() -> nn.Module:
    """A module in two places, one that is None, and one that holds what holds it."""
    part = nn.Linear(2, 2)
    model = nn.Sequential(nn.Sequential(part, nn.ReLU()), part, nn.Sequential(part))
    model.register_module("nothing", None)
    model[2].back = model
    return model


@pytest.mark.parametrize(
    "build", [shared, lambda: timm.create_model("test_vit"), nn.ReLU], ids=["shared", "vit", "leaf"]
)
def test_modules_and_their_first_paths_are_those_of_pytorch(build: object) -> None:
    model = build()
    assert modules_of(model) == list(model.modules())
    assert [(path, module) for module, path in paths_of(model).items()] == list(
        model.named_modules()
    )
