"""What is read out is what the pass shows, whatever a description says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from libraries import TINY, Tiny, adapted
from models import MODELS, TinyModel, randomise
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError

Readout = Callable[[Any, Tensor], Tensor]


def vit(**options: Any) -> Any:
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", **{**settings, "num_classes": 5, **options})
    randomise(model)
    return model.double().eval()


def images(batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, 32, 32, generator=generator).double()


class Reading(nn.Module):
    """timm's blocks under a readout of one's own."""

    def __init__(self, read: Readout, **options: Any) -> None:
        super().__init__()
        self.vit, self.read = vit(**options), read

    def tokens(self, x: Tensor) -> Tensor:
        return self.vit.blocks(self.vit.norm_pre(self.vit._pos_embed(self.vit.patch_embed(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.vit, self.tokens(x))


def described(model: Reading, pool: str = "class") -> Any:
    """A description that says of the readout what may not be true."""
    as_it_is: Any = vaw.adapt(
        model, "vit.blocks", lambda t: model.read(model.vit, t), patch_size=8, image_size=32
    )
    as_it_is.readout_kind = pool
    as_it_is.readout_rows = (0,) if pool == "class" else None
    return as_it_is


# The readout, and what it is: kind, few rows, the queries of a map.
PATCHES = list(range(1, 17))
READOUTS: dict[str, tuple[Readout, str, tuple[int, ...] | None, list[int]]] = {
    "class": (lambda m, t: m.head(m.norm(t)[:, 0]), "class", (0,), [0]),
    "mean of patches": (lambda m, t: m.head(m.norm(t)[:, 1:].mean(1)), "mean", None, PATCHES),
    "mean of all": (lambda m, t: m.head(m.norm(t).mean(1)), "mean", None, [0, *PATCHES]),
    "max": (lambda m, t: m.head(t[:, 1:].amax(1)), "max", None, PATCHES),
    "class and a patch": (
        lambda m, t: (m.head(t[:, 0]) + m.head(t[:, 1])) / 2, "mean", None, [0, 1],
    ),
    "some patches": (lambda m, t: m.head(m.norm(t[:, 5:9]).mean(1)), "mean", None, [5, 6, 7, 8]),
}  # fmt: skip


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("said", ["class", "mean", "attention_pool"])
@pytest.mark.parametrize("name", READOUTS)
def test_the_pass_decides(name: str, said: str, gradients: bool) -> None:
    read, kind, rows, queries = READOUTS[name]
    if said == "attention_pool" and kind != "class":  # it may be there without having been observed
        queries, kind, rows = PATCHES, said, None
    description = described(Reading(read), said)
    trace = vaw.trace(description, images(), gradients=gradients)
    assert (trace.model.readout_kind, trace.model.readout_rows) == (kind, rows)
    assert trace.readout.queries == queries
    expected_kind = description.readout_kind  # others may be using it
    assert expected_kind == said


@pytest.mark.parametrize("name", ["mean of patches", "class", "max"])
def test_maps_are_those_of_the_true_description(name: str) -> None:
    """DAAM, gradients and rollout by a wrong description equal those by timm's own."""
    read, kind, _, _ = READOUTS[name]
    model = Reading(read)
    right = vaw.trace(described(model, kind), images())
    wrong = vaw.trace(described(model, "mean" if kind == "class" else "class"), images())
    for layer in range(3):
        torch.testing.assert_close(wrong.output_gradient(layer), right.output_gradient(layer))
    # The literal gradient: autograd through the model's own readout.
    last = right.layers[-1]
    (explicit,) = torch.autograd.grad(
        right.target.score(right.forward_pass.logits).sum(), last.out, retain_graph=True
    )
    torch.testing.assert_close(wrong.output_gradient(2), explicit)
    for method in ("daam", "rollout", "gmar", "legrad", "attention"):
        maps = [vaw.explainers.METHODS[method](trace).values for trace in (wrong, right)]
        torch.testing.assert_close(*maps)


@pytest.mark.parametrize(
    ("pool", "kind"), [("token", "class"), ("avg", "mean"), ("avgmax", "mean"), ("max", "max")]
)
@pytest.mark.parametrize("fc_norm", [True, False])
@pytest.mark.parametrize("registers", [0, 2])
@pytest.mark.parametrize("gradients", [True, False])
def test_timm_pools(pool: str, kind: str, fc_norm: bool, registers: int, gradients: bool) -> None:
    model = vit(global_pool=pool, fc_norm=fc_norm, reg_tokens=registers)
    trace = vaw.trace(model, images(), gradients=gradients)
    prefix = 1 + registers
    assert trace.model.readout_kind == kind
    assert trace.readout.queries == ([0] if kind == "class" else list(range(prefix, prefix + 16)))


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
@pytest.mark.parametrize("gradients", [True, False])
def test_a_wrong_description_of_any_library_is_corrected(tiny: Tiny, gradients: bool) -> None:
    right = vaw.describe(adapted(tiny.build()))
    wrong: Any = vaw.describe(adapted(tiny.build()))
    is_class = right.readout_kind == "class"
    wrong.readout_kind, wrong.readout_rows = ("mean", None) if is_class else ("class", (0,))
    traces = [vaw.trace(vit, images(), tiny.target, gradients=gradients) for vit in (wrong, right)]
    kinds = [(t.model.readout_kind, t.model.readout_rows, t.readout.queries) for t in traces]
    assert kinds[0] == kinds[1]
    assert kinds[1][0] == tiny.readout


@pytest.mark.parametrize("tiny", MODELS)
@pytest.mark.parametrize("gradients", [True, False])
def test_a_wrong_description_of_any_timm_model_is_corrected(
    tiny: TinyModel, gradients: bool
) -> None:
    """Class token, distilled, registers, averages, maxima and attention pools."""
    right, wrong = (vaw.describe(tiny.build()) for _ in range(2))
    is_class = right.readout_kind == "class"
    wrong.readout_kind, wrong.readout_rows = ("mean", None) if is_class else ("class", (0,))
    traces = [vaw.trace(vit, tiny.inputs(), gradients=gradients) for vit in (wrong, right)]
    read = [(t.model.readout_kind, t.model.readout_rows, t.readout.queries) for t in traces]
    assert read[0] == read[1]
    assert read[1][0] == tiny.readout
    assert (right.readout_kind, right.readout_rows) == read[1][:2]


def test_what_cannot_be_seen_refuses_the_maps_that_need_it_alone() -> None:
    model = Reading(READOUTS["mean of patches"][0])
    description = described(model)
    description._forward = lambda x: 2 * model(x)  # more than the readout
    trace = vaw.trace(description, images(), gradients=False)
    with pytest.raises(UnsupportedModelError, match="gradients=True"):
        vaw.explainers.rollout(trace)
    vaw.attention_strength(trace)
    assert trace.attention(0).shape == (2, 2, 17, 17)
    assert vaw.trace(description, images()).model.readout_kind == "mean"  # by its gradient


def test_tokens_that_differ_from_image_to_image_are_refused() -> None:
    def largest(m: Any, t: Tensor) -> Tensor:
        chosen = t[:, 1:].norm(dim=-1).topk(3).indices[..., None].expand(-1, -1, t.shape[-1])
        return m.head(m.norm(t[:, 1:].gather(1, chosen)).mean(1))

    trace = vaw.trace(described(Reading(largest)), images())
    with pytest.raises(UnsupportedModelError, match="for other images on others"):
        vaw.explainers.daam(trace)


def test_blocks_listed_in_another_order() -> None:
    model = vit()
    listed = [model.blocks[i] for i in (0, 2, 1)]
    description: Any = vaw.describe(model)
    description.blocks = listed
    with pytest.raises(UnsupportedModelError, match=r"order \[0, 2, 1\]"):
        vaw.trace(description, images())


def test_what_happens_between_blocks_is_seen() -> None:
    class Between(Reading):
        def tokens(self, x: Tensor) -> Tensor:
            t = self.vit._pos_embed(self.vit.patch_embed(x))
            for block in self.vit.blocks:
                t = 0.5 * block(t)
            return 2 * t

    model = Between(READOUTS["class"][0])
    trace = vaw.trace(described(model), images())
    with pytest.raises(UnsupportedModelError, match="between block 0 and block 1"):
        vaw.head_importance(described(model), images(), metric="probability")
    masked = vaw.masked_heads(described(model), {1: [0]})
    with torch.no_grad(), masked:
        expected = model(images())
    from vit_attention_widget.tracing.run import remask

    torch.testing.assert_close(remask(trace, {1: [0]}).logits, expected)


# --- weights of a mean ---------------------------------------------------------------------------

SHARES = torch.linspace(0.5, 2, 17).double()
SHARES = SHARES / SHARES.sum()


def weighted(m: Any, t: Tensor) -> Tensor:
    return m.head(m.fc_norm((SHARES[:, None] * m.norm(t)).sum(1)))


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("norm", ["before", "after"])
def test_a_weighted_mean_is_read_by_its_weights(norm: str, gradients: bool) -> None:
    model = Reading(weighted, fc_norm=norm == "after")
    trace = vaw.trace(described(model), images(), gradients=gradients)
    torch.testing.assert_close(trace.readout.weights(), SHARES.expand(2, -1))
    # Rollout, literally: the product of (A + I) / 2, averaged over heads, read by these weights.
    product = torch.eye(17).double()
    for layer in range(3):
        attention = trace.attention(layer).mean(1)
        product = (attention + torch.eye(17).double()) / 2 @ product
    rows = (SHARES[:, None] * product).sum(1)[:, 1:].unflatten(1, (4, 4))
    final = vaw.explainers.rollout(trace).values[:, -1]
    torch.testing.assert_close(final / final.sum(), rows / rows.sum())


@pytest.mark.parametrize("name", ["mean of all", "mean of patches", "some patches"])
def test_a_mean_has_uniform_weights(name: str) -> None:
    trace = vaw.trace(described(Reading(READOUTS[name][0])), images())
    queries = READOUTS[name][3]
    expected = torch.zeros(2, 17).double()
    expected[:, queries] = 1 / len(queries)
    assert torch.equal(trace.readout.weights(), expected)


def test_heads_are_ablated_under_a_weighted_mean() -> None:
    model = Reading(weighted)
    importance = vaw.head_importance(described(model), images(), metric="probability")
    vit = described(model)
    with torch.no_grad(), vaw.masked_heads(vit, {2: [0]}):
        p = model(images()).softmax(-1)[torch.arange(2), importance.labels]
    torch.testing.assert_close(importance.baseline - p, importance.values[:, 2, 0])


def test_daam_sums_over_all_tokens_that_are_read() -> None:
    """The class token beside the patches' mean, as DINOv2's classifiers read them."""

    class Both(Reading):
        def __init__(self) -> None:
            super().__init__(lambda m, t: self.both(m.norm(t)))
            self.linear = nn.Linear(32, 5).double()

        def both(self, t: Tensor) -> Tensor:
            return self.linear(torch.cat([t[:, 0], t[:, 1:].mean(1)], 1))

    trace = vaw.trace(described(Both()), images(), 2)
    assert trace.readout.queries == [0, *PATCHES]
    score = trace.forward_pass.logits[:, 2].sum()
    expected = torch.zeros(2, 17).double()
    for record in trace.layers:
        (upstream,) = torch.autograd.grad(score, record.out, retain_graph=True)
        attention = (record.q @ record.k.mT * record.scale).softmax(-1)
        block = (attention * (upstream.relu() @ record.v.mT)).sum((1, 2)).relu().detach()
        block[:, 0] = 0
        expected = expected + block
    raw = vaw.explainers.daam(trace, normalize=False).final
    torch.testing.assert_close(raw, expected[:, 1:].unflatten(1, (4, 4)))


def test_weights_made_in_inference_mode_are_read_out_without_gradients() -> None:
    with torch.inference_mode():
        model = vit()
    trace = vaw.trace(model, images(), gradients=False)
    assert trace.readout.queries == [0]
    assert trace.readout.weights()[:, 0].tolist() == [1, 1]
