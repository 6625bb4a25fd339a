"""A model on its way to a worker: its weights as safetensors, or a factory in its place."""

from __future__ import annotations

import copy
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import vit_attention_widget as vaw
from tests.faults import TINY, images
from tests.test_skipped import Tasks
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.models import VisionTransformer
from vit_attention_widget.runs import sent_model
from vit_attention_widget.runs.sent_model import SentModel

NAMES = [f"kind {n}" for n in range(TINY.build().num_classes)]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_model_yet() -> Iterator[None]:
    sent_model._loaded.clear()
    yield
    sent_model._loaded.clear()


def there_and_back(vit: VisionTransformer, folder: Path) -> VisionTransformer:
    received: SentModel = pickle.loads(pickle.dumps(SentModel(vit, folder)))
    assert received.vit is not vit
    return received.vit


def seeded(seed: int = 0) -> nn.Module:
    """A model of a class that no other process could find."""

    class Local(nn.Module):
        pass

    torch.manual_seed(seed)
    model = TINY.build()
    model.extra = Local()
    nn.init.normal_(model.norm.weight)
    return model


def unseeded() -> nn.Module:
    model = TINY.build()
    nn.init.normal_(model.norm.weight)
    return model


def test_weights_travel_as_safetensors_and_the_rest_as_it_is(tmp_path: Path) -> None:
    model = TINY.build()
    model.pos_drop.twice = model.norm.weight  # tied
    model.register_buffer("narrow", torch.arange(4, dtype=torch.bfloat16), persistent=False)
    model.norm.bias.requires_grad_(False)
    model.plain = [torch.eye(2)]
    vit = vaw.describe(model, class_names=NAMES)
    sent = SentModel(vit, tmp_path)
    structure = Path(sent.__getstate__())
    weights = structure.with_suffix(".safetensors")
    size = sum(value.numel() * value.element_size() for value in model.parameters())
    assert weights.stat().st_size > size > structure.stat().st_size
    received = there_and_back(vit, tmp_path)
    got: Any = received.model
    assert received.class_names == NAMES
    for name, value in model.state_dict().items():
        assert torch.equal(got.state_dict()[name], value), name
    assert got.pos_drop.twice is got.norm.weight
    assert torch.equal(got.narrow, model.narrow)  # type: ignore[arg-type]
    assert not got.norm.bias.requires_grad
    assert torch.equal(got.plain[0], torch.eye(2))
    assert isinstance(got.norm.weight, nn.Parameter)
    sent.remove()
    assert not structure.parent.exists()


def test_a_weight_that_changed_is_another_file(tmp_path: Path) -> None:
    model = TINY.build()
    vit = vaw.describe(model)
    before = Path(SentModel(vit, tmp_path).__getstate__()).name
    with torch.no_grad():
        model.norm.weight[-1] += 1
    assert Path(SentModel(vit, tmp_path).__getstate__()).name != before


def test_runs_of_one_folder_take_away_their_own_files(tmp_path: Path) -> None:
    ends, goes_on = (SentModel(vaw.describe(TINY.build()), tmp_path) for _ in range(2))
    ends.__getstate__()
    sent = pickle.dumps(goes_on)
    ends.remove()
    assert pickle.loads(sent).vit.num_layers == goes_on.vit.num_layers
    goes_on.remove()
    assert not list(tmp_path.iterdir())


def test_text_features_that_changed_are_another_file(tmp_path: Path) -> None:
    tower: Any = TINY.build()
    tower.reset_classifier(0)
    for features in torch.eye(2, tower.num_features).unflatten(0, (2, 1)):
        vit = vaw.zero_shot(tower, ["a thing"], features=features)
        data = torch.stack(images(1))
        assert torch.equal(there_and_back(vit, tmp_path).forward(data), vit.forward(data))


def test_parameters_of_whole_numbers_travel_too(tmp_path: Path) -> None:
    model = TINY.build()
    model.norm.table = nn.Parameter(torch.arange(3), requires_grad=False)
    got: Any = there_and_back(vaw.describe(model), tmp_path).model
    assert torch.equal(got.norm.table, torch.arange(3))
    assert not got.norm.table.requires_grad


def test_a_factory_goes_instead_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"say which function makes it \(vaw.made_by\)"):
        there_and_back(vaw.describe(seeded(3)), tmp_path)
    vit = vaw.describe(vaw.made_by(seeded, seed=3), class_names=NAMES)
    received = there_and_back(vit, tmp_path)
    assert torch.equal(received.model.norm.weight, vit.model.norm.weight)  # type: ignore[arg-type, union-attr]
    assert received.blocks[1] is received.model.blocks[1]  # type: ignore[index, union-attr]
    assert received.class_names == NAMES
    (weights,) = tmp_path.rglob("*.safetensors")
    assert weights.stat().st_size < 200
    data = torch.stack(images(1))
    assert torch.equal(received.forward(data), vit.forward(data))


def test_a_factory_that_makes_another_model_is_refused(tmp_path: Path) -> None:
    vit = vaw.made_by(unseeded)
    with pytest.raises(ParameterError, match=r"process \d+\) the factory of .* other weights"):
        there_and_back(vit, tmp_path)
    with pytest.raises(ParameterError, match="factory is a str"):
        vaw.made_by("vit_base_patch16_224")  # type: ignore[arg-type]


def test_a_worker_without_a_package_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("only_here")
    exec("import torch\nclass Extra(torch.nn.Module): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    model = TINY.build()
    model.extra = module.Extra()
    sent = pickle.dumps(SentModel(vaw.describe(model), tmp_path))
    monkeypatch.delitem(sys.modules, "only_here")
    with pytest.raises(ParameterError, match=r"process \d+\) cannot .* named 'only_here'"):
        pickle.loads(sent).vit.forward(torch.zeros(1))


def test_a_package_that_is_missing_is_no_images_fault() -> None:
    lacking = Tasks(lambda batch: ModuleNotFoundError("No module named 'my_data'", name="my_data"))
    with pytest.raises(ParameterError, match="A worker cannot import my_data"):
        vaw.attention_strength(TINY.build(), images(20), executor=lacking)
    assert lacking.given == 3


def test_a_description_of_a_factory_is_one_as_any_other() -> None:
    vit = vaw.made_by(vaw.demo.load_model)
    trace = vaw.trace(vit, vaw.demo.scene(seed=1).image)
    assert copy.copy(trace.model).factory is not None
