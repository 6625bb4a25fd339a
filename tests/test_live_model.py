"""The graphs of the live page compute what the package does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

import vit_attention_widget as vaw
from live.model import FORWARD, GRADIENTS, graphs
from vit_attention_widget.tracing.masking import masked_heads

PRUNED = {1: [2], 4: [0, 3]}
TARGET = 4


@pytest.fixture(scope="module")
def folder() -> Path:
    return graphs()


@pytest.fixture(scope="module")
def trace() -> vaw.Trace:
    return vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=7).image, TARGET, head_mask=PRUNED)


def _run(path: Path, names: tuple[str, ...], **inputs: torch.Tensor) -> dict[str, NDArray]:
    session = onnxruntime.InferenceSession(path)
    outputs = session.run(list(names), {name: each.numpy() for name, each in inputs.items()})
    return dict(zip(names, outputs, strict=True))


def _kept() -> torch.Tensor:
    kept = torch.ones(1, 6, 4)
    for layer, heads in PRUNED.items():
        kept[:, layer, heads] = 0
    return kept


def _close(actual: NDArray, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(actual, expected.detach().numpy(), atol=2e-5, rtol=1e-5)


def test_small(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6


def test_forward(folder: Path, trace: vaw.Trace) -> None:
    """Of several pictures at once, here one whole and one with masked heads."""
    images = trace.inputs.expand(2, -1, -1, -1)
    kept = torch.cat([torch.ones(1, 6, 4), _kept()])
    computed = _run(folder / "forward.onnx", FORWARD, images=images, kept=kept)
    whole = vaw.trace(trace.model, trace.inputs, TARGET, gradients=False)
    for i, expected in enumerate((whole, trace)):
        _close(computed["logits"][i], expected.logits[0])
        lens = vaw.logit_lens(expected, k=10)
        for layer, record in enumerate(expected.layers):
            for name in "qkv":
                _close(computed[name][i, layer], getattr(record, name)[0])
            _close(computed["heads"][i, layer], record.out[0])
            _close(computed["class_tokens"][i, layer], record.output[0, 0])
            said = torch.tensor(computed["token_logits"][i, layer]).softmax(-1)
            sorted_ = said.sort(-1, descending=True)
            _close(sorted_.values.numpy(), lens.values[0, layer, 1:])


def test_gradients(folder: Path, trace: vaw.Trace) -> None:
    target = torch.eye(10)[TARGET : TARGET + 1]
    computed = _run(
        folder / "gradients.onnx", GRADIENTS, images=trace.inputs, kept=_kept(), target=target
    )
    maps = vaw.explainers.legrad(trace).values[0].flatten(1)
    gradcam = vaw.explainers.gradcam(trace).values[0].flatten(1)
    inputs = trace.inputs.detach().clone().requires_grad_()
    with masked_heads(trace.model, PRUNED):
        [by_images] = torch.autograd.grad(trace.model.forward(inputs)[0, TARGET], inputs)
    _close(computed["images_gradient"], by_images)
    total = 0
    for layer, record in enumerate(trace.layers):
        _close(computed["heads_gradient"][0, layer], trace.output_gradient(layer)[0])
        z, gradient = (torch.tensor(computed[name][0, layer, 1:]) for name in GRADIENTS[2:4])
        _close((z * gradient.mean(0)).sum(-1).relu().numpy(), gradcam[layer].detach())
        own = torch.tensor(computed["own_gradient"][0, layer, :, 0])  # [head, dim]
        moved = torch.einsum("hd,hnd->hn", own, record.v[0]).relu().sum(0)
        total = total + moved[1:] / (4 - len(PRUNED.get(layer, ()))) / 101
        _close(total.detach().numpy(), maps[layer])
