"""Occlusion and integrated gradients: their twins, and that they can be watched and stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from models import NAMES
from reference.explicit import ExplicitViT
from reference.integrated_gradients import integrated_gradients as literal_integrated_gradients
from reference.occlusion import occlusion as literal_occlusion
from torch import nn
from twins import TARGET, Twins, agree, twins

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import CaptureError, JobCancelled, ParameterError
from vit_attention_widget.explainers.places_on_the_way import pilot_places, places_and_shares

pytestmark = pytest.mark.filterwarnings("ignore:The values of integrated_gradients")


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> Twins:
    return twins(request.param)


def _grid(pair: Twins) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, and the pixels of a patch."""
    tokens = pair.trace.tokens
    return (tokens.rows, tokens.cols), (tokens.patch_height, tokens.patch_width)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": (2, 2), "stride": (1, 1)},
        {"window": (2, 3), "stride": (1, 2), "baseline": 0.5},
    ],
    ids=["plain", "overlapping", "last at the edge"],
)
def test_occlusion_agrees_with_the_literal_twin(pair: Twins, options: dict[str, Any]) -> None:
    maps = explainers.occlusion(pair.trace, **options)
    assert maps.values.shape == (2, pair.tiny.layers, *_grid(pair)[0])
    expected = literal_occlusion(pair.vit, pair.inputs, TARGET, *_grid(pair), **options)
    for layer in range(pair.tiny.layers):
        agree(maps.values[:, layer], expected)


def test_integrated_gradients_agree_with_the_literal_twin(pair: Twins) -> None:
    maps = explainers.integrated_gradients(pair.trace, steps=9, baseline=0.25)
    expected = literal_integrated_gradients(
        pair.vit, pair.inputs, TARGET, *_grid(pair), steps=9, baseline=0.25
    )
    agree(maps.final, expected)


@pytest.mark.slow  # a step at a time is cheap, 1500 are not
def test_integrated_gradients_are_complete(pair: Twins) -> None:
    one = pair.inputs[:1]
    trace = vaw.trace(pair.model, one, TARGET[:1])
    maps = explainers.integrated_gradients(trace, steps=1500)
    logits = pair.record.logits[:1] - pair.vit(torch.zeros_like(one)).logits
    change = logits[:, TARGET[0]]
    torch.testing.assert_close(maps.final.sum((1, 2)), change.detach(), rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_many_equal_steps_come_to_the_same() -> None:
    pair = twins("vit")
    count = 400
    points = [((i + 0.5) / count, 1 / count) for i in range(count)]
    expected = literal_integrated_gradients(
        pair.vit, pair.inputs, TARGET, *_grid(pair), points=points
    )
    agree(explainers.integrated_gradients(pair.trace, steps=200).final, expected, 1e-3)


def test_too_few_steps_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="take more steps"):
        explainers.integrated_gradients(twins("vit").trace, steps=1)


@pytest.mark.parametrize("method", explainers.LONG_METHODS)
def test_masked_heads_stay_masked(method: str) -> None:
    pair, mask = twins("vit"), {0: [1], 2: [0]}
    masked = vaw.trace(pair.model, pair.inputs, TARGET, head_mask=mask)
    vit = ExplicitViT(pair.model, switched_off=mask)
    if method == "occlusion":
        expected = literal_occlusion(vit, pair.inputs, TARGET, *_grid(pair))
        agree(explainers.occlusion(masked).final, expected)
    else:
        maps = explainers.integrated_gradients(masked, steps=400).final
        index = torch.tensor(TARGET)[:, None]
        ends = [vit(x).logits.gather(1, index)[:, 0] for x in (pair.inputs, 0 * pair.inputs)]
        agree(maps.sum((1, 2)), ends[0] - ends[1], 1e-6)


@pytest.mark.parametrize("method", explainers.LONG_METHODS)
def test_batches_and_traces_without_gradients_make_no_difference(method: str) -> None:
    pair, explain = twins("vit"), explainers.LONG_METHODS[method]
    expected = explain(pair.trace).values
    plain = vaw.trace(pair.model, pair.inputs, TARGET, gradients=False)
    agree(explain(plain, max_batch=1).values, expected, 1e-12)
    agree(explain(plain, max_batch=7).values, expected, 1e-12)
    assert all(p.grad is None for p in pair.model.parameters())


@pytest.mark.parametrize("method", explainers.LONG_METHODS)
def test_they_can_be_watched_and_stopped(method: str) -> None:
    trace, explain = twins("vit").trace, explainers.LONG_METHODS[method]
    seen: list[float] = []
    explain(trace, max_batch=4, progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert seen[-1] == 1

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.3:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        explain(trace, max_batch=4, progress=stop)
    with pytest.raises(JobCancelled):
        vaw.compare(trace, methods=["rollout", method], progress=stop)


@pytest.mark.parametrize("method", explainers.LONG_METHODS)
def test_they_run_where_they_are_asked_for_by_name(method: str) -> None:
    trace = twins("vit").trace
    assert method not in {item.method for item in vaw.compare(trace).items}
    compared = vaw.compare(trace, methods=["rollout", method])
    assert {item.method for item in compared.items} == {"rollout", method}
    evaluated = vaw.evaluate(trace, methods=[method], steps=4)
    assert method in evaluated.methods


@pytest.mark.filterwarnings("ignore")
def test_int8_weights_are_refused_for_gradients_and_right_without() -> None:
    pair = twins("vit")
    model = torch.ao.quantization.quantize_dynamic(pair.tiny.build().float(), {nn.Linear})
    trace = vaw.trace(model, pair.inputs.float(), TARGET)
    with pytest.raises(CaptureError, match="int8"):
        explainers.integrated_gradients(trace)
    assert explainers.occlusion(trace).final.abs().max() > 0


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("occlusion", {"window": 5}, "window is 5: the grid has 4 x 4"),
        ("occlusion", {"window": 0}, "window is 0"),
        ("occlusion", {"window": "2"}, "window is '2'"),
        ("occlusion", {"window": 2, "stride": 3}, "stride is 3.*at most the window"),
        ("occlusion", {"stride": 0}, "stride is 0"),
        ("occlusion", {"max_batch": 0}, "max_batch is 0"),
        ("occlusion", {"baseline": torch.zeros(5)}, r"baseline has the shape \[5\]"),
        ("integrated_gradients", {"baseline": float("nan")}, "not finite"),
        ("integrated_gradients", {"steps": 0}, "steps is 0"),
        ("integrated_gradients", {"steps": 1.5}, r"steps is 1\.5"),
    ],
)
def test_options_that_do_not_exist(method: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        explainers.LONG_METHODS[method](twins("vit").trace, **options)


def test_places_lie_where_the_target_changes() -> None:
    """A target that rises within a twentieth of the way, as norms make it."""
    steps, sharp = 32, 300.0

    def target(a: np.ndarray) -> np.ndarray:
        return np.tanh(sharp * (a - 0.04)) + 0.1 * a

    def slope(a: np.ndarray) -> np.ndarray:
        return sharp / np.cosh(sharp * (a - 0.04)) ** 2 + 0.1

    change = float(target(np.array(1.0)) - target(np.array(0.0)))
    points, weights = np.polynomial.legendre.leggauss(steps)
    evenly = float((slope((points + 1) / 2) * weights / 2).sum())
    scores = torch.from_numpy(target(np.array(pilot_places())))[:, None]
    places, shares = places_and_shares(scores, steps)
    ours = float((slope(places[:, 0].numpy()) * shares[:, 0].numpy()).sum())
    assert abs(evenly / change - 1) > 0.2
    assert abs(ours / change - 1) < 0.01
    torch.testing.assert_close(shares.sum(0), torch.ones(1, dtype=torch.float64))
    flat, even = places_and_shares(torch.zeros(17, 2), 5)  # nothing changes: still the whole way
    assert flat.shape == even.shape == (5, 2)
    torch.testing.assert_close(even.sum(0), torch.ones(2, dtype=torch.float64))
