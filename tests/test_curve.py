"""Pruning curves against heads masked by hand, in every order; partial pruning; remasking."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from models import BY_NAME, MODELS, NAMES, TinyModel
from reference.explicit import ExplicitAttention, ExplicitViT
from torch import Tensor, nn
from twins import TARGET, agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import JobCancelled, ParameterError
from vit_attention_widget.importance.metrics import METRICS
from vit_attention_widget.pruning.curve import ORDERS
from vit_attention_widget.pruning.partial import MODES
from vit_attention_widget.tracing.run import remask

ALL_HEADS = [(layer, head) for layer in range(3) for head in range(2)]


def probability(model: nn.Module, inputs: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    heads: dict[int, list[int]] = {}
    for layer, head in pairs:
        heads.setdefault(layer, []).append(head)
    with torch.no_grad(), vaw.masked_heads(model, heads):
        return model(inputs).softmax(-1)


# --- curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 11])  # few images share their layers, many are run anew
@pytest.mark.parametrize("order", ORDERS)
def test_curves(order: str, count: int) -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs(count)
    labels = [i % 5 for i in range(count)]
    rows = torch.arange(count)
    curve = vaw.pruning_curve(model, inputs, labels, order=order)
    assert sorted(curve.order) == ALL_HEADS
    assert curve.removed == list(range(7))
    for n, value in enumerate(curve.values.tolist()):
        p = probability(model, inputs, curve.order[:n])
        assert value == pytest.approx(float(p[rows, labels].mean()), abs=1e-6)
    if order in METRICS:
        importance = vaw.head_importance(model, inputs, labels, metric=order)
        assert curve.order == importance.ranking()[::-1]
    if order == "greedy":
        for n, head in enumerate(curve.order):
            others = [other for other in ALL_HEADS if other not in curve.order[:n]]
            kept = {
                other: float(
                    probability(model, inputs, [*curve.order[:n], other])[rows, labels].mean()
                )
                for other in others
            }
            assert kept[head] == pytest.approx(max(kept.values()), abs=1e-9)
    right = vaw.pruning_curve(model, inputs, labels, order=curve.order, metric="accuracy")
    assert right.order_name == "given"
    for n, value in enumerate(right.values):
        choice = probability(model, inputs, curve.order[:n]).argmax(-1)
        assert value == pytest.approx(float((choice == torch.tensor(labels)).double().mean()))


def test_random_orders_are_seeded() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs(1)
    orders = [vaw.pruning_curve(model, inputs, order="random", seed=s).order for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_an_importance_of_other_images_gives_an_order(tmp_path: Path) -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build()
    importance = vaw.head_importance(model, tiny.inputs(3, seed=5), metric="jsd")
    curve = vaw.pruning_curve(model, tiny.inputs(2), order=importance, steps=4)
    assert curve.order == importance.ranking()[::-1][:4]
    table = curve.to_dataframe()
    assert list(table.columns) == ["removed", "layer", "head", "probability"]
    assert table["head"].tolist()[1:] == [head for _, head in curve.order]
    curve.to_csv(tmp_path / "curve.csv")
    assert (tmp_path / "curve.csv").read_text().splitlines()[1].startswith("0,,,")
    assert curve.plot().lines[0].get_data()[1].tolist() == curve.values.tolist()


@pytest.mark.parametrize("order", ["probability", "taylor", "greedy", "random"])
def test_the_curve_of_a_trace(order: str) -> None:
    tiny = BY_NAME["vit"]
    model, inputs, labels = tiny.build(), tiny.inputs(2), [1, 3]
    curve = vaw.pruning_curve(vaw.trace(model, inputs, labels), order=order)
    assert curve.rows() == vaw.pruning_curve(model, inputs, labels, order=order).rows()
    masked = vaw.trace(model, inputs, labels, head_mask={1: [0], 2: [1]})
    curve = vaw.pruning_curve(masked, order=order)
    assert sorted(curve.order) == [(0, 0), (0, 1), (1, 1), (2, 0)]
    for n, value in enumerate(curve.values.tolist()):
        p = probability(model, inputs, [(1, 0), (2, 1), *curve.order[:n]])
        assert value == pytest.approx(float(p[[0, 1], labels].mean()), abs=1e-6)
    importance = vaw.head_importance(model, inputs, labels)
    assert sorted(vaw.pruning_curve(masked, order=importance).order) == sorted(curve.order)
    with pytest.raises(ParameterError, match="head 0 of layer 1, which is masked"):
        vaw.pruning_curve(masked, order=[(1, 0)])
    with pytest.raises(ParameterError, match="images was given beside a trace"):
        vaw.pruning_curve(masked, inputs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": "best"}, "'best'.*greedy, random"),
        ({"metric": "jsd"}, "'probability' or 'accuracy'"),
        ({"steps": 7}, "steps is 7.*6 heads"),
        ({"steps": 0}, "steps is 0"),
        ({"order": [(0, 1), (0, 1)]}, "twice"),
        ({"order": [(0, 5)]}, "no head 5 in layer 0"),
        ({"target": lambda logits: logits.sum(-1)}, "not a class"),
    ],
)
def test_curves_that_make_no_sense(options: dict[str, object], words: str) -> None:
    tiny = BY_NAME["vit"]
    with pytest.raises(ParameterError, match=words):
        vaw.pruning_curve(tiny.build(), tiny.inputs(1), **options)


def test_a_curve_can_be_cancelled_and_keeps_what_it_has() -> None:
    tiny = BY_NAME["vit"]
    kept: list[vaw.PruningCurve] = []

    def stop(fraction: float, label: str) -> None:
        if fraction > 0.5:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        kept.extend(
            vaw.pruning_curve_steps(tiny.build(), tiny.inputs(1), order=ALL_HEADS, progress=stop)
        )
    steps = vaw.pruning_curve_steps(tiny.build(), tiny.inputs(1), order=ALL_HEADS)
    assert [next(steps).removed[-1] for _ in range(3)] == [0, 1, 2]


# --- partial pruning -----------------------------------------------------------------------------


class Partly(ExplicitAttention):
    """Explicit attention whose entries of one head are set to zero by a mask [query, key]."""

    def __init__(self, original: nn.Module, head: int, keep: Tensor) -> None:
        super().__init__(original)
        self.head, self.keep = head, keep

    def forward(self, x: Tensor, *args: Tensor, **kwargs: Tensor) -> Tensor:
        super().forward(x, *args, **kwargs)
        attention = self.attention.clone()
        attention[:, self.head] = attention[:, self.head] * self.keep
        joined = torch.einsum("bhij,bhjd->bhid", attention, self.values)
        joined = joined.permute(0, 2, 1, 3).flatten(2)
        m = self.original
        if getattr(m, "norm", None) is not None:
            joined = m.norm(joined)
        if getattr(m, "gate", None) is not None:
            joined = joined * torch.sigmoid(m.gate(x))
        return m.proj(joined)


def kept(mode: str, tokens: vaw.TokenLayout) -> Tensor:
    """What stays of the attention, [query, key]."""
    keep = torch.ones(tokens.num_tokens, tokens.num_tokens, dtype=torch.float64)
    p = slice(tokens.num_prefix, None)
    if mode == "all":
        keep[:] = 0
    elif mode == "patches":
        keep[p, p] = 0
    elif mode == "corner":
        keep[0, 0] = 0
    elif mode.startswith("class row and column"):
        keep[0, p] = keep[p, 0] = 0
        if "without" not in mode:
            keep[0, 0] = 0
    return keep


@pytest.mark.parametrize("name", NAMES)
def test_partial_pruning(name: str) -> None:
    pair = twins(name)
    for layer, head in [(0, 1), (2, 0)]:
        parts = vaw.partial_pruning(pair.model, pair.inputs, TARGET, layer=layer, head=head)
        assert parts.modes == tuple(MODES) if "class" in pair.tiny.prefix else len(parts.modes) == 3
        for i, mode in enumerate(parts.modes):
            vit = ExplicitViT(pair.model)
            block = vit.model.blocks[layer]
            keep = kept(mode, pair.trace.tokens)
            block.attn = Partly(block.attn.original, head, keep)
            with torch.no_grad():
                p = vit.model(pair.inputs).softmax(-1)
            agree(parts.probability[i], p[[0, 1], TARGET], 1e-9)
            best = p[0].topk(5)
            assert [v for _, v in parts.top5[i][0]] == pytest.approx(best.values.tolist())


def test_the_pictograms() -> None:
    pair = twins("vit")
    parts = vaw.partial_pruning(pair.trace, layer=1, head=0)
    assert parts.target == pair.trace.target.name
    assert parts.zeroed("none") == [[False, False], [False, False]]
    assert parts.zeroed("all") == [[True, True], [True, True]]
    assert parts.zeroed("patches") == [[False, False], [False, True]]
    assert parts.zeroed("class row and column") == [[True, True], [True, False]]
    assert parts.zeroed("class row and column without corner") == [[False, True], [True, False]]
    assert parts.zeroed("corner") == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": 3, "head": 0}, "no layer 3"),
        ({"layer": 0, "head": 2}, "no head 2"),
        ({"layer": 0, "head": 1, "head_mask": {0: [1]}}, "pruned already"),
        ({"layer": 0, "head": 0, "target": lambda logits: logits.sum(-1)}, "not a class"),
    ],
)
def test_partial_pruning_that_makes_no_sense(options: dict[str, object], words: str) -> None:
    pair = twins("vit")
    with pytest.raises(ParameterError, match=words):
        vaw.partial_pruning(pair.model, pair.inputs, **options)


# --- other masks on the same trace ---------------------------------------------------------------


@pytest.mark.parametrize("tiny", MODELS)
def test_remasking_is_tracing_anew(tiny: TinyModel) -> None:
    model, inputs = tiny.build(), tiny.inputs()
    trace = vaw.trace(model, inputs, TARGET)
    for mask in ({2: [0]}, {1: [1], 2: [0]}, {0: [0], 1: [1]}, {1: [0, 1]}, {}):
        trace = remask(trace, mask)
        expected = vaw.trace(model, inputs, TARGET, head_mask=mask)
        assert trace.head_mask == expected.head_mask
        torch.testing.assert_close(trace.logits, expected.logits)
        for layer in range(3):
            torch.testing.assert_close(
                trace.output_gradient(layer), expected.output_gradient(layer)
            )
        for method in vaw.explainers.METHODS.values():
            torch.testing.assert_close(method(trace).values, method(expected).values)


def test_remasking_runs_only_the_layers_above() -> None:
    tiny = BY_NAME["vit"]
    model, runs = tiny.build(), [0, 0, 0]
    for layer, block in enumerate(model.blocks):

        def count(_m: nn.Module, _a: object, layer: int = layer) -> None:
            runs[layer] += 1

        block.mlp.register_forward_pre_hook(count)
    trace = vaw.trace(model, tiny.inputs(1), gradients=False)
    assert runs == [1, 1, 1]
    remask(trace, {0: [1]})  # blocks of a model with hooks are tried alone, once
    runs[:] = [1, 1, 1]
    remask(trace, {2: [1]})
    assert runs[:2] == [1, 1]
    trace = remask(trace, {1: [1]})
    assert runs[0] == 1
    assert remask(trace, {1: [1]}) is trace


def test_remasking_a_model_that_does_more_than_its_blocks() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    model.head.register_forward_hook(lambda _m, _a, out: out)
    forward = model.forward
    model.forward = lambda x: forward(x) * 2  # the readout alone is no longer the model's
    remasked = remask(vaw.trace(model, inputs), {1: [0]})
    torch.testing.assert_close(remasked.logits, vaw.trace(model, inputs, head_mask={1: [0]}).logits)


def test_a_model_in_training_mode_is_asked_in_evaluation_mode_and_left_training() -> None:
    tiny = BY_NAME["vit"]
    asked = [
        lambda m, x: vaw.pruning_curve(m, x, [0] * 9, order="random").values,
        lambda m, x: vaw.partial_pruning(m, x, 0, layer=1, head=0).probability.flatten().tolist(),
        lambda m, x: [vaw.accuracy(m, x, [0] * 9, head_mask={0: [1]})],
        lambda m, x: vaw.prune_heads(m, {0: [1]}).eval()(x).flatten().tolist(),
    ]
    inputs = tiny.inputs(9)
    for ask in asked:
        model, training = tiny.build(), tiny.build().train()
        for module in training.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.5
        assert ask(training, inputs) == pytest.approx(ask(model, inputs))
        assert all(module.training for module in training.modules())
