"""Head importance: exact leave-one-out and the first-order estimate, against the naive ways."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable

import pytest
import torch
from models import BY_NAME, NAMES
from reference.importance import leave_one_out, taylor
from torch import Tensor, nn
from twins import TARGET, Twins, agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import JobCancelled, ParameterError, TargetError


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> Twins:
    return twins(request.param)


def by_masking(model: nn.Module, inputs: Tensor, target: list[int]) -> Tensor:
    """The naive loop over the user's own model, whatever was done to it."""
    images = torch.arange(len(target))
    with torch.no_grad():
        baseline = model(inputs).softmax(-1)[images, target]
        values = torch.zeros(len(target), len(model.blocks), model.blocks[0].attn.num_heads)
        values = values.to(baseline)
        for layer in range(values.shape[1]):
            for head in range(values.shape[2]):
                with vaw.masked_heads(model, {layer: [head]}):
                    kept = model(inputs).softmax(-1)[images, target]
                values[:, layer, head] = baseline - kept
    return values


# --- against the literal twin --------------------------------------------------------------------


def test_leave_one_out(pair: Twins) -> None:
    metrics = ["probability", "jsd", "class_token_cosine", "loss", "accuracy"]
    importance = vaw.head_importance(pair.model, pair.inputs, TARGET, metric=metrics)
    values, baseline = leave_one_out(pair.model, pair.inputs, TARGET)
    agree(importance.baseline, baseline)
    assert importance.metrics == tuple(values) == tuple(metrics)
    assert torch.equal(importance.values, importance["probability"])
    for metric, expected in values.items():
        agree(
            importance[metric], expected, 1e-8 if metric in ("jsd", "class_token_cosine") else 1e-10
        )
    alone = vaw.head_importance(pair.model, pair.inputs, TARGET, metric="jsd")
    assert torch.equal(alone.values, importance["jsd"])


def test_taylor(pair: Twins) -> None:
    importance = vaw.head_importance(pair.model, pair.inputs, TARGET, metric="taylor")
    agree(importance.values, taylor(pair.record, TARGET))
    agree(importance.baseline, pair.record.logits.softmax(-1)[[0, 1], TARGET])


def test_no_target_is_the_predicted_class(pair: Twins) -> None:
    predicted = pair.record.logits.argmax(-1).tolist()
    for metric in ("probability", "taylor"):
        importance = vaw.head_importance(pair.model, pair.inputs, metric=metric)
        expected = vaw.head_importance(pair.model, pair.inputs, predicted, metric=metric)
        assert torch.equal(importance.values, expected.values)


# --- batches, reports ----------------------------------------------------------------------------


@pytest.mark.parametrize("max_batch", [1, 2, 3, 1000])
@pytest.mark.parametrize("name", ["vit", "siglip", "deit-distilled"])
def test_the_size_of_a_batch_does_not_matter(name: str, max_batch: int) -> None:
    pair = twins(name)
    whole = vaw.head_importance(pair.model, pair.inputs, target=TARGET)
    parts = vaw.head_importance(pair.model, pair.inputs, target=TARGET, max_batch=max_batch)
    agree(parts.values, whole.values, 1e-12)


@pytest.mark.parametrize("max_batch", [2, 3, 5])
def test_batches_are_bounded(max_batch: int) -> None:
    pair = twins("vit")
    sizes: list[int] = []
    model = BY_NAME["vit"].build()
    for block in model.blocks:
        block.mlp.register_forward_hook(lambda _m, args, _o: sizes.append(len(args[0])))
    vaw.head_importance(model, pair.inputs, target=TARGET, max_batch=max_batch)
    assert max(sizes) <= max_batch


def test_it_fills_step_by_step() -> None:
    pair = twins("vit")
    final = vaw.head_importance(pair.model, pair.inputs, metric=["jsd", "taylor"])
    seen = list(vaw.head_importance_steps(pair.model, pair.inputs, metric=["jsd", "taylor"]))
    known = [int((~one["jsd"].isnan()).sum()) for one in seen]
    assert known == sorted(known)
    assert known[0] == 0
    assert known[-1] == final.values.numel()
    for one in seen:
        assert torch.equal(one["taylor"], final["taylor"])  # the estimate is there at once
        there = ~one["jsd"].isnan()
        assert torch.equal(one["jsd"][there], final["jsd"][there])


def test_progress_rises_to_one() -> None:
    pair = twins("vit")
    for metric in ("probability", "taylor"):
        seen: list[float] = []
        vaw.head_importance(
            pair.model,
            pair.inputs,
            metric=metric,
            progress=lambda f, _label, seen=seen: seen.append(f),
        )
        assert seen == sorted(seen)
        assert seen[0] > 0
        assert seen[-1] == pytest.approx(1)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_cancel(after: int) -> None:
    pair = twins("vit")
    calls = 0

    def cancel(fraction: float, label: str) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise JobCancelled("by the user")

    with pytest.raises(JobCancelled):
        vaw.head_importance(pair.model, pair.inputs, progress=cancel)
    assert calls == after + 1


def test_layers_below_the_removed_head_never_run_again() -> None:
    tiny = BY_NAME["vit"]
    model, runs = tiny.build(), [0, 0, 0]

    def count(layer: int) -> None:
        def hook(_m: nn.Module, args: tuple[Tensor, ...]) -> None:
            runs[layer] += len(args[0])

        model.blocks[layer].attn.qkv.register_forward_pre_hook(hook)

    for layer in range(3):
        count(layer)
    vaw.head_importance(model, tiny.inputs(batch=1))  # blocks of a model with hooks are tried, once
    runs[:] = [0, 0, 0]
    vaw.head_importance(model, tiny.inputs(batch=1))
    heads, plain = tiny.heads, 1
    for layer in range(3):  # with our own count hooked in, a block itself is run again as a whole
        assert runs[layer] <= plain + heads + layer * heads


def test_the_table() -> None:
    pytest.importorskip("pandas")
    pair = twins("vit")
    importance = vaw.head_importance(pair.model, pair.inputs, head_mask={1: [0]})
    table = importance.to_dataframe()
    assert list(table.columns) == ["image", "layer", "head", "probability"]
    assert len(table) == 2 * (3 * 2 - 1)
    row = table[(table.image == 1) & (table.layer == 2) & (table["head"] == 1)]
    assert row.probability.item() == importance.values[1, 2, 1].item()


# --- pruned heads --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "beit-explicit", "eva02", "siglip", "relpos", "dinov3"])
def test_importance_beside_heads_that_are_pruned_already(name: str) -> None:
    pair = twins(name)
    mask = {0: [1], 2: [0]}
    importance = vaw.head_importance(pair.model, pair.inputs, target=TARGET, head_mask=mask)
    images = torch.arange(2)

    def probability(heads: dict[int, list[int]]) -> Tensor:
        with torch.no_grad(), vaw.masked_heads(pair.model, heads):
            return pair.model(pair.inputs).softmax(-1)[images, TARGET]

    agree(importance.baseline, probability(mask))
    for layer in range(3):
        for head in range(2):
            value = importance.values[:, layer, head]
            if head in mask.get(layer, ()):
                assert value.isnan().all()
            else:
                more = {**mask, layer: [*mask.get(layer, []), head]}
                agree(value, importance.baseline - probability(more), 1e-9)
    estimate = vaw.head_importance(pair.model, pair.inputs, TARGET, metric="taylor", head_mask=mask)
    assert torch.equal(estimate.values.isnan(), importance.values.isnan())


def test_a_whole_layer_may_be_pruned() -> None:
    pair = twins("vit")
    importance = vaw.head_importance(pair.model, pair.inputs, head_mask={1: [0, 1]})
    assert importance.values[:, 1].isnan().all()
    assert not importance.values[:, [0, 2]].isnan().any()


# --- models that their users changed -------------------------------------------------------------


def scale_output(model: nn.Module) -> None:
    model.blocks[1].register_forward_hook(lambda _m, _a, out: 1.5 * out)
    model.blocks[2].register_forward_hook(lambda _m, _a, out: 0.5 * out + 1)


def shift_attention(model: nn.Module) -> None:
    model.blocks[1].attn.register_forward_hook(lambda _m, _a, out: out + 0.5)


def shift_input(model: nn.Module) -> None:
    model.blocks[2].register_forward_pre_hook(lambda _m, args: (args[0] * 1.5, *args[1:]))


def own_forward(model: nn.Module) -> None:
    def forward(self: nn.Module, x: Tensor, **_: object) -> Tensor:
        return x + 2 * self.attn(self.norm1(x)) + self.mlp(self.norm2(x)) * 0.5

    model.blocks[2].forward = types.MethodType(forward, model.blocks[2])


def own_block(model: nn.Module) -> None:
    class Parallel(nn.Module):
        def __init__(self, block: nn.Module) -> None:
            super().__init__()
            self.norm, self.attn, self.mlp = block.norm1, block.attn, block.mlp

        def forward(self, x: Tensor) -> Tensor:
            return x + self.attn(self.norm(x)) + self.mlp(self.norm(x))

    model.blocks[1] = Parallel(model.blocks[1])


@pytest.mark.parametrize(
    "change", [scale_output, shift_attention, shift_input, own_forward, own_block]
)
@pytest.mark.parametrize("name", ["vit", "vit-avg"])
def test_what_a_user_changed_in_a_block_counts(
    name: str, change: Callable[[nn.Module], None]
) -> None:
    tiny = BY_NAME[name]
    model, inputs = tiny.build(), tiny.inputs()
    change(model)
    importance = vaw.head_importance(model, inputs, target=TARGET)
    agree(importance.values, by_masking(model, inputs, TARGET))
    trace = vaw.trace(model, inputs, TARGET)
    values = vaw.explainers.legrad(trace).values
    expected = legrad_by_rerunning(model, inputs)
    agree(values, expected)


def legrad_by_rerunning(model: nn.Module, inputs: Tensor) -> Tensor:
    """LeGrad of a changed model: its own forward pass, the head outputs moved by autograd."""
    maps: list[Tensor] = []
    total: Tensor | float = 0.0
    vit = vaw.describe(model)
    for layer, block in enumerate(model.blocks):
        kept: dict[str, Tensor] = {}

        def before_proj(_m: nn.Module, args: tuple[Tensor], kept: dict[str, Tensor] = kept):
            kept["out"] = args[0]

        def after(_m: nn.Module, _a: object, z: Tensor, kept: dict[str, Tensor] = kept) -> None:
            kept["z"] = z

        handles = [
            block.attn.proj.register_forward_pre_hook(before_proj),
            block.register_forward_hook(after),
        ]
        trace = vaw.trace(model, inputs)
        model(inputs)
        for handle in handles:
            handle.remove()
        y = vit.readout(kept["z"])[torch.arange(2), TARGET].sum()
        (gradient,) = torch.autograd.grad(y, kept["out"])
        heads = gradient.unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2)
        by_attention = heads @ trace.layers[layer].v.detach().transpose(-2, -1)
        total = total + by_attention.relu().mean((1, 2))
        maps.append(trace.tokens.to_grid(total))
    return torch.stack(maps, 1)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"metric": "shapley"}, ParameterError, "'shapley'.*probability, jsd.*taylor"),
        ({"metric": []}, ParameterError, "choose from"),
        ({"metric": ["jsd", "gini"]}, ParameterError, "'gini'"),
        ({"max_batch": 0}, ParameterError, "max_batch is 0"),
        ({"max_batch": -3}, ParameterError, "-3"),
        ({"target": 7}, TargetError, "7.*0 to 4"),
        ({"target": lambda logits: logits.sum(-1)}, ParameterError, "not a class"),
        ({"head_mask": {9: [0]}}, ParameterError, "layer 9"),
        ({"head_mask": {0: [2]}}, ParameterError, "head 2 in layer 0"),
        ({"head_mask": {0: 1}}, ParameterError, "give a list"),
        ({"head_mask": [0, 1]}, ParameterError, "give a dict"),
    ],
)
def test_options_that_do_not_exist(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    pair = twins("vit")
    with pytest.raises(error, match=words):
        vaw.head_importance(pair.model, pair.inputs, **options)


def test_taylor_takes_any_target() -> None:
    pair = twins("vit")
    importance = vaw.head_importance(
        pair.model, pair.inputs, lambda logits: logits[:, 1], metric="taylor"
    )
    expected = vaw.head_importance(pair.model, pair.inputs, 1, metric="taylor")
    assert torch.equal(importance.values, expected.values)


@pytest.mark.parametrize(
    ("heads", "words"),
    [({3: [0]}, "layer 3"), ({0: [5]}, "head 5"), ({-4: [0]}, "layer -4"), ({0: ["a"]}, "'a'")],
)
def test_masks_that_do_not_exist(heads: dict[int, list[int]], words: str) -> None:
    pair = twins("vit")
    with pytest.raises(ParameterError, match=words), vaw.masked_heads(pair.model, heads):
        pass


@pytest.mark.parametrize("options", [{"images": "jsd"}, {"target": 1}, {"head_mask": {0: [1]}}])
def test_nothing_is_given_beside_a_trace(options: dict[str, object]) -> None:
    pair = twins("vit")
    for ask in (
        vaw.head_importance,
        functools.partial(vaw.partial_pruning, layer=0, head=0),
    ):
        with pytest.raises(ParameterError, match=f"{next(iter(options))} was given beside"):
            ask(pair.trace, **options)


@pytest.mark.parametrize("images", [None, 5, object()])
def test_things_that_are_no_images(images: object) -> None:
    with pytest.raises(vaw.errors.ImageError):
        vaw.head_importance(twins("vit").model, images)
    with pytest.raises(vaw.errors.ImageError):
        vaw.head_importance(twins("vit").model, iter([images]))
