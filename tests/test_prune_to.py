"""Pruning to a budget against curves, cuts and counts made by hand; recovery; what stops it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models import BY_NAME
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.pruning.budget import cost
from vit_attention_widget.pruning.budget.cost import Quantity, Race
from vit_attention_widget.statistics.intervals import wilson_interval

TINY = BY_NAME["vit"]
INPUTS = TINY.inputs(20)
Data = list[tuple[Tensor, int]]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return TINY.build()


@pytest.fixture(scope="module")
def data(model: nn.Module) -> Data:
    """The tiny model's own choices, but for each fifth image: 80 % are right."""
    with torch.no_grad():
        picked = model(INPUTS).argmax(-1)
    wrong = (torch.arange(20) % 5 == 0).long()
    return list(zip(INPUTS, ((picked + wrong) % 5).tolist(), strict=True))


@pytest.fixture(autouse=True)
def _quick_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_ROUNDS", 3)


def share_right(model: nn.Module, data: Data, heads: list[tuple[int, int]]) -> float:
    with torch.no_grad(), vaw.masked_heads(model, heads):
        picked = model(torch.stack([image for image, _ in data])).argmax(-1)
    return float((picked == torch.tensor([label for _, label in data])).double().mean())


# --- budgets -------------------------------------------------------------------------------------


def test_a_number_of_heads(model: nn.Module, data: Data) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    choosing, held_out = data[:12], data[12:]
    pruned = vaw.prune_to(model, choosing, heads=2, order="loss", held_out=held_out)
    curve = vaw.pruning_curve(model, choosing, order="loss", metric="accuracy", steps=4)
    assert pruned.heads == pruned.curve.order == curve.order
    assert pruned.curve.values.tolist() == curve.values.tolist()
    assert pruned.num_images == {"choosing": 12, "training": 0, "held_out": 8}
    assert pruned.complete
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    small = vaw.prune_heads(model, curve.order)
    assert isinstance(pruned.model, nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(pruned.model(INPUTS), small(INPUTS))
    accuracy, parameters, flops, seconds = pruned.quantities
    for mine, heads in ((accuracy.whole, []), (accuracy.pruned, curve.order)):
        share = share_right(model, held_out, heads)
        assert mine == (pytest.approx(share), *wilson_interval(share * 8, 8))
    counts = [sum(p.numel() for p in each.parameters()) for each in (model, small)]
    assert [parameters.whole[0], parameters.pruned[0]] == counts
    assert pruned.ratio("parameters") == counts[1] / counts[0]
    assert flops.ratio < 1
    assert seconds.name == "seconds (cpu)"
    assert seconds.whole[1] <= seconds.whole[0] <= seconds.whole[2]
    with pytest.raises(ParameterError, match=r"no 'size'.*accuracy, parameters, FLOPs, seconds"):
        pruned.ratio("size")


def test_images_are_held_out_by_chance_and_once(model: nn.Module, data: Data) -> None:
    pruned = vaw.prune_to(model, INPUTS, [label for _, label in data], heads=5, held_out=0.25)
    assert pruned.num_images == {"choosing": 15, "training": 0, "held_out": 5}
    again = vaw.prune_to(model, data, heads=5, held_out=0.25)
    assert again.curve.values.tolist() == pruned.curve.values.tolist()
    others = [(image, 0) for image in TINY.inputs(2, seed=9)]
    with pytest.raises(ParameterError, match="2 of the 4 held-out images also choose"):
        vaw.prune_to(model, data, heads=5, held_out=[*data[:2], *others])


@pytest.mark.parametrize("keep", [0.9, 0.6, 0.3])
def test_accuracy_is_kept_on_the_images_that_choose(
    model: nn.Module, data: Data, keep: float
) -> None:
    choosing = data[:15]
    values = vaw.pruning_curve(model, choosing, order="random", metric="accuracy").values.tolist()
    allowed = 0
    while allowed < 6 and values[allowed + 1] >= keep * values[0] - 1e-12:
        allowed += 1
    call: dict[str, Any] = {"keep_accuracy": keep, "order": "random", "held_out": data[15:]}
    if not allowed:
        with pytest.raises(ParameterError, match=r"No head can go.*first by random"):
            vaw.prune_to(model, choosing, **call)
        return
    pruned = vaw.prune_to(model, choosing, **call)
    assert len(pruned.heads) == allowed
    assert len(pruned.curve.order) == min(6, allowed + 1)  # seen to be too many
    assert pruned.curve.complete


def test_the_fewest_heads_that_make_it_quick(
    model: nn.Module, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def against(race: Race, small: nn.Module) -> Quantity:
        share = 0.4 + 0.6 * sum(vaw.describe(small).num_heads) / 6
        return Quantity("seconds (cpu)", (1, 1, 1), (share, share, share), share)

    monkeypatch.setattr(Race, "against", against)
    monkeypatch.setattr("vit_attention_widget.pruning.budget.limit._CHECKS", 2)
    assert len(vaw.prune_to(model, data, latency=0.95).heads) == 1
    assert len(vaw.prune_to(model, data, latency=0.75).heads) == 3
    with pytest.raises(ParameterError, match=r"latency=0.3 cannot be reached.*still takes 0\.\d"):
        vaw.prune_to(model, data, latency=0.3)
    with pytest.raises(ParameterError, match=r"Without the 1 heads that went.*name more heads"):
        vaw.prune_to(model, data, latency=0.6, order=[(0, 1)])


def test_flops_are_those_of_the_products(model: nn.Module) -> None:
    vit = vaw.describe(model)
    tokens, dim, layers, hidden, classes, patch = 17, 16, 3, 64, 5, 3 * 8 * 8
    block = 4 * tokens * dim * dim + 2 * tokens * tokens * dim + 2 * tokens * dim * hidden
    products = layers * block + 16 * patch * dim + dim * classes
    assert cost.flops(vit, INPUTS[:1]) == 2 * products


def test_wilsons_interval_solves_its_equation() -> None:
    for right, count in ((0, 10), (7, 10), (99, 100), (400, 400)):
        p, z = right / count, 1.959963984540054
        for end in wilson_interval(right, count):
            assert (p - end) ** 2 == pytest.approx(z * z * end * (1 - end) / count, abs=1e-15)
    assert wilson_interval(0, 10) == (pytest.approx(0, abs=1e-12), pytest.approx(0.2775, abs=1e-4))
    assert all(end != end for end in wilson_interval(0, 0))
    with pytest.raises(ParameterError, match="level is 2"):
        wilson_interval(1, 2, 2)


# --- recovery ------------------------------------------------------------------------------------


def test_recovery_in_rounds_by_a_function(model: nn.Module, data: Data) -> None:
    seen: list[tuple[int, list[int]]] = []

    def learn(small: nn.Module, images: Data) -> nn.Module:
        seen.append((sum(vaw.describe(small).num_heads), [label for _, label in images]))
        trained = copy.deepcopy(small)
        trained.head.bias.data += 1  # type: ignore[union-attr, operator]
        return trained.train()

    pruned = vaw.prune_to(
        model, data[:10], heads=2, order=[(0, 1), (2, 0), (0, 0), (1, 1)], heads_per_round=2,
        finetune=learn, training=data[10:16], held_out=data[16:],
    )  # fmt: skip
    assert seen == [(4, [label for _, label in data[10:16]]), (2, seen[0][1])]
    assert pruned.heads == [(0, 1), (2, 0), (0, 0), (1, 1)]
    assert [each.removed for each in pruned.recovered] == [2, 4]
    assert pruned.curve.order_name == "given, recovered"
    expected = share_right(model, data[:10], [(0, 1), (2, 0)])
    assert pruned.recovered[0].before == pytest.approx(expected)
    assert pruned.model is not None
    assert not pruned.model.training
    torch.testing.assert_close(pruned.model.head.bias, model.head.bias + 2)  # type: ignore[union-attr]
    assert pruned.num_images["training"] == 6
    for wrong, words in ((lambda m, d: 3, "returned int"), (lambda m, d: model, "of 6 heads")):
        with pytest.raises(ParameterError, match=words):
            vaw.prune_to(model, data, heads=4, finetune=wrong)


def test_a_round_that_goes_too_far_is_tried_with_half_as_many_heads(
    model: nn.Module, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def share(vit: Any, images: object) -> float:
        return float(sum(vit.num_heads) >= 5)

    def learn(small: nn.Module, images: Data) -> None:
        tried.append(6 - sum(vaw.describe(small).num_heads))

    monkeypatch.setattr("vit_attention_widget.pruning.budget.rounds.accuracy", share)
    pruned = vaw.prune_to(
        model, data, keep_accuracy=0.6, order="random", heads_per_round=4, finetune=learn
    )
    assert tried == [4, 2, 1, 2]
    assert len(pruned.heads) == 1


def test_the_short_loop_learns_and_leaves_all_else_as_it_was(model: nn.Module, data: Data) -> None:
    small = vaw.prune_heads(model, [(0, 1), (1, 0)])
    small.requires_grad_(False)
    images, labels = torch.stack([i for i, _ in data]), torch.tensor([n for _, n in data])

    def loss() -> float:
        with torch.no_grad():
            return float(nn.functional.cross_entropy(small(images), labels))

    before, state = loss(), torch.random.get_rng_state()
    vaw.FineTuning(epochs=4, learning_rate=1e-2, batch=5).train(vaw.describe(small), data)
    assert loss() < 0.7 * before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not small.training
    assert all(p.grad is None and not p.requires_grad for p in small.parameters())


def test_heads_that_could_not_be_cut_stay_unused_while_the_others_learn(data: Data) -> None:
    """Where a norm sees all heads of a layer together, one is zeroed and not cut."""
    tiny = BY_NAME["vit-attn-norm"]
    model = tiny.build()
    pairs = [(image, label) for image, (_, label) in zip(tiny.inputs(20), data, strict=True)]
    learn = vaw.FineTuning(epochs=1, learning_rate=1e-2)
    pruned = vaw.prune_to(model, pairs, heads=3, order="random", finetune=learn, heads_per_round=1)
    assert len(set(pruned.heads)) == len(pruned.heads) == 3
    assert pruned.model is not None
    zeroed = vaw.pruning_of(pruned.model).heads
    inputs = tiny.inputs(2)
    with torch.no_grad(), vaw.masked_heads(pruned.model, zeroed):
        masked = pruned.model(inputs)
    with torch.no_grad():
        torch.testing.assert_close(pruned.model(inputs), masked)


def test_all_heads_of_a_layer_may_go_where_one_must_stand_for_them(data: Data) -> None:
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16,
        num_classes=5,
    ).double().eval()  # fmt: skip
    every = [(1, 0), (1, 1), (0, 1), (0, 0)]
    for finetune in (vaw.FineTuning(epochs=1, learning_rate=1e-2), lambda small, images: None):
        pruned = vaw.prune_to(
            model, data, heads=0, order=every, finetune=finetune, heads_per_round=2
        )
        assert pruned.heads == every
        assert pruned.model is not None
        assert pruned.complete
    tokens, dim, patch = 17, 16, 3 * 8 * 8
    mlps = 2 * 2 * tokens * dim * 16 + 16 * patch * dim + dim * 5
    attention = 2 * (4 * tokens * dim * dim + 2 * tokens * tokens * dim)
    flops = next(each for each in pruned.quantities if each.name == "FLOPs")
    assert (flops.whole[0], flops.pruned[0]) == (2 * (mlps + attention), 2 * mlps)
    with torch.no_grad():
        masked = vaw.prune_heads(model, every)(INPUTS)
        torch.testing.assert_close(pruned.model(INPUTS), masked)


# --- what stops it -------------------------------------------------------------------------------


def stop_at(share: float) -> Callable[[float, str], None]:
    def progress(fraction: float, label: str) -> None:
        if fraction > share:
            raise JobCancelled

    return progress


class Labels(list[str]):
    def __call__(self, fraction: float, label: str) -> None:
        self.append(label)


@pytest.mark.parametrize("finetune", [None, vaw.FineTuning(epochs=1, batch=4)])
def test_it_goes_on_where_it_was_stopped(
    model: nn.Module, data: Data, tmp_path: Path, finetune: vaw.FineTuning | None
) -> None:
    call: dict[str, Any] = {"heads": 2, "finetune": finetune, "heads_per_round": 1}
    whole = vaw.prune_to(model, data, **call)
    for resumed in (False, True):
        more: dict[str, Any] = {"store": tmp_path / "folder"} if resumed else {}
        with pytest.raises(JobCancelled):
            vaw.prune_to(model, data, **call, **more, progress=stop_at(0.5))
        partial = vaw.kept_result()
        assert 0 < len(partial.heads) < 4
        assert not partial.complete
        assert f"{len(partial.heads)} of 4 heads removed" in repr(partial)
        if not resumed:
            more = {"start": partial}
        said = Labels()
        done = vaw.prune_to(model, data, **call, **more, progress=said)
        assert done.heads == whole.heads
        assert done.curve.values.tolist() == whole.curve.values.tolist()
        assert str(done.quantities[:3]) == str(whole.quantities[:3])  # NaN is not NaN
        steps = [label for label in said if label.startswith("recovering: step 1 ")]
        assert len(steps) == (4 - len(partial.heads) if finetune else 0)
    again = vaw.prune_to(model, data, **call, store=tmp_path / "folder")
    assert again.model is not None
    assert done.model is not None
    with torch.no_grad():
        torch.testing.assert_close(again.model(INPUTS), done.model(INPUTS))
    with pytest.raises(ParameterError, match="another run: its budget is 2 heads left"):
        vaw.prune_to(model, data, heads=3, store=tmp_path / "folder")
    with pytest.raises(ParameterError, match="start is of the budget '2 heads left'"):
        vaw.prune_to(model, data, heads=3, start=partial)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no budget was given"),
        ({"heads": 2, "latency": 0.5}, "heads and latency were given"),
        ({"heads": 6}, "from 0 to 5"),
        ({"heads": 1.5}, "whole number"),
        ({"keep_accuracy": 99}, "keep_accuracy is 99: give a share"),
        ({"heads": 2, "order": "best"}, "choose from"),
        ({"heads": 2, "order": [(0, 1)]}, "names 1 heads, but 4 must go"),
        ({"heads": 2, "held_out": 0.001}, "are 0: give more images"),
        ({"heads": 2, "held_out": 1.0}, "held_out is 1.0: give images"),
        ({"heads": 2, "finetune": 3}, "finetune is 3"),
        ({"heads": 2, "finetune": True, "heads_per_round": 0}, "heads_per_round is 0"),
        ({"heads": 2, "start": 3}, "start is a int"),
    ],
)
def test_what_cannot_be_is_refused(
    model: nn.Module, data: Data, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ParameterError, match=words):
        vaw.prune_to(model, data, **options)


def test_images_without_labels_are_refused(model: nn.Module) -> None:
    with pytest.raises(ParameterError, match=r"images: the images have no labels"):
        vaw.prune_to(model, INPUTS, heads=2)
    with pytest.raises(ParameterError, match="returns value"):
        vaw.prune_to(vaw.describe(model, output="value"), INPUTS, heads=2)
