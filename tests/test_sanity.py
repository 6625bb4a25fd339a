"""Maps of a model whose weights are randomized."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import BY_NAME
from reference import evaluation as literal
from scipy.stats import spearmanr
from snapshots import untouched

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.evaluation.sanity.weights import randomize_weights
from vit_attention_widget.statistics.ranks import paired_rank_correlation


@pytest.mark.parametrize("levels", [None, 3])
def test_rank_correlation(levels: int | None) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 4, 5, 6))
    if levels:
        first, second = np.floor(levels * rng.random((2, 4, 5, 6)))
    correlation = paired_rank_correlation(torch.from_numpy(first), torch.from_numpy(second))
    for i in range(4):
        expected = spearmanr(first[i].flatten(), second[i].flatten()).statistic
        assert float(correlation[i]) == pytest.approx(expected)
        assert float(correlation[i]) == pytest.approx(literal.spearman(first[i], second[i]))


def test_rank_correlation_of_constant_maps() -> None:
    flat, other = torch.zeros(1, 3, 3), torch.arange(9.0).view(1, 3, 3)
    assert float(paired_rank_correlation(other, flat)) == 0
    assert paired_rank_correlation(flat, other).isnan()
    assert float(paired_rank_correlation(other, other**3)) == 1
    assert float(paired_rank_correlation(other, -other)) == -1


def test_the_weights_of_the_copy_are_randomized_from_the_top_down() -> None:
    model, inputs = BY_NAME["vit"].build(), BY_NAME["vit"].inputs()
    copy = BY_NAME["vit"].build()
    trace, vit = vaw.trace(model, inputs), vaw.describe(copy)
    changed: list[set[str]] = []
    stages = []
    for stage in randomize_weights(vit, trace, 0):
        stages.append(stage)
        changed.append({
            name
            for (name, new), old in zip(copy.named_parameters(), model.parameters(), strict=True)
            if not torch.equal(new, old)
        })  # fmt: skip
    assert stages == ["readout", "layer 2", "layer 1", "layer 0", "embedding"]
    assert changed[0] == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert all("blocks.2." in name for name in changed[1] - changed[0])
    assert changed[3] < changed[4] == {name for name, _ in model.named_parameters()}
    for new, old in zip(copy.parameters(), model.parameters(), strict=True):
        if old.numel() > 100:
            assert float(new.detach().std()) == pytest.approx(float(old.detach().std()), rel=0.3)


def test_maps_change_with_the_weights_and_the_user_s_model_does_not() -> None:
    model = vaw.demo.load_model()
    scenes = [vaw.demo.scene(seed=seed).image for seed in (1, 2, 3)]
    with untouched(model):
        check = evaluation.sanity_check(model, scenes, methods=["legrad", "daam", "rollout"])
    assert check.values.shape == (8, 5, 3)
    assert check.methods == ("legrad", "daam", "rollout", "center", "random")
    assert check.unchanged == ("center", "random")  # they never look at the model
    assert (check.values[:, 3:] == 1).all()
    assert (check.values[0, 2] == 1).all()  # rollout is class-agnostic
    assert float(check.mean("legrad")[0]) < 0.99
    again = evaluation.sanity_check(model, scenes, methods=["legrad", "daam", "rollout"])
    assert torch.equal(check.values, again.values)
    other = evaluation.sanity_check(model, scenes, methods=["legrad", "daam", "rollout"], seed=1)
    assert not torch.equal(check.values, other.values)


def test_a_map_that_does_not_change_is_flagged(tmp_path: object) -> None:
    model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=5)

    def edges(trace: vaw.Trace) -> vaw.explainers.Attribution:
        """Shows the picture's own brightness, whatever the model thinks."""
        grid = torch.nn.functional.avg_pool2d(trace.inputs.mean(1), 8)
        return vaw.explainers.Attribution(grid[:, None], "edges", "class-agnostic")

    check = evaluation.sanity_check(model, scene.image, methods={"edges": edges})
    assert "edges" in check.unchanged
    assert "UNCHANGED" in check.summary()
    assert len(check.rows()) == 8 * 3
    assert list(check.to_dataframe().columns) == ["stage", "method", "correlation", "unchanged"]
    check.to_csv(f"{tmp_path}/sanity.csv")
    pytest.importorskip("matplotlib").use("Agg")
    assert len(check.plot().lines) >= 3


@pytest.mark.parametrize("name", ["vit-avg", "siglip", "beit-shared-bias", "dinov3"])
def test_weights_of_other_models_are_randomized_too(name: str) -> None:
    model, inputs = BY_NAME[name].build(), BY_NAME[name].inputs()
    with untouched(model):
        check = evaluation.sanity_check(model, inputs, methods=["rollout", "daam"])
    assert check.stages[0] == "readout"
    assert set(check.unchanged) >= {"center", "random"}


def test_prompts_and_adapted_models() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    model.reset_classifier(0)
    prompts = vaw.zero_shot(model, ["a", "b"], features=torch.randn(2, 16).double())
    check = evaluation.sanity_check(prompts, inputs, methods="daam")
    assert check.values.shape == (5, 3, 2)

    class Mine(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny.build()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)

    def adapted(mine: torch.nn.Module) -> object:
        def readout(tokens: torch.Tensor) -> torch.Tensor:
            return mine.inner.forward_head(mine.inner.norm(tokens))

        return vaw.adapt(mine, "inner.blocks", readout, patch_size=8, image_size=32, num_heads=2)

    mine = adapted(Mine())
    plain = evaluation.sanity_check(tiny.build(), inputs, methods="daam")
    for describe_copy in (adapted, None):  # a copy's parts are found, or told
        check = evaluation.sanity_check(mine, inputs, methods="daam", describe_copy=describe_copy)
        torch.testing.assert_close(check.values, plain.values)

    def not_found(copy: torch.nn.Module) -> object:
        return vaw.describe(torch.nn.Linear(3, 3))

    for describe_copy in (lambda _: mine, not_found):
        with pytest.raises(ParameterError, match=r"holds on to the model.*describe_copy=lambda co"):
            evaluation.sanity_check(mine, inputs, methods="daam", describe_copy=describe_copy)


def test_it_can_be_cancelled() -> None:
    model = vaw.demo.load_model()

    def stop(fraction: float, label: str) -> None:
        raise JobCancelled("enough")

    with untouched(model), pytest.raises(JobCancelled):
        evaluation.sanity_check(model, vaw.demo.scene(seed=1).image, methods="daam", progress=stop)


def test_a_limit_that_does_not_exist() -> None:
    with pytest.raises(ParameterError, match="limit is 2"):
        evaluation.sanity_check(vaw.demo.load_model(), vaw.demo.scene(seed=1).image, limit=2)


@pytest.mark.filterwarnings("ignore:.*quantiz:")
def test_weights_of_int8_are_refused() -> None:
    """They would stay as they were, and every map would seem to depend on them little."""
    tiny = BY_NAME["vit"]
    model = torch.ao.quantization.quantize_dynamic(tiny.build(torch.float32), {torch.nn.Linear})
    with pytest.raises(ParameterError, match=r"blocks.0.attn.qkv.* whole numbers"):
        evaluation.sanity_check(model, tiny.inputs(dtype=torch.float32), methods="rollout")
