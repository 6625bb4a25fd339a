"""What a session finds out of the decision by layer: its twin, pruning, refusals, cancelling."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import timm
import torch
from models import BY_NAME
from reference.explicit import ExplicitViT
from reference.logit_lens import of_layers, of_tokens
from safetensors.numpy import load

import vit_attention_widget as vaw

TINY = BY_NAME["vit"]
IMAGE = TINY.inputs(1, torch.float64)
PRUNED = {1: (0,)}


@pytest.fixture
def session() -> Iterator[vaw.Session]:
    session = vaw.Session(TINY.build(torch.float64), IMAGE)
    assert session.wait(60)
    yield session
    session.close()


def read_out(session: vaw.Session) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    session.read_out_layers()
    assert session.wait(60)
    data = session._layer_decisions
    length = int.from_bytes(data[:8], "little")
    return load(data), json.loads(data[8 : 8 + length])["__metadata__"]


def literal(masked: dict[int, tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [layer, class] of the readout and [layer, patch, class], in float64."""
    vit = ExplicitViT(TINY.build(torch.float64), switched_off=masked)
    record = vit(IMAGE)
    patches = of_tokens(vit, record)[0, :, -TINY.rows * TINY.cols :]
    return of_layers(vit, record)[0].numpy(), patches.numpy()


@pytest.mark.parametrize("masked", [{}, PRUNED])
def test_agrees_with_the_literal_twin(
    session: vaw.Session, masked: dict[int, tuple[int, ...]]
) -> None:
    session.pruned_heads = masked
    assert session.wait(60)
    tensors, metadata = read_out(session)
    layers, patches = literal(masked)
    classes = tensors["classes"].astype(int)
    np.testing.assert_allclose(tensors["lines"], layers[:, classes].T, atol=1e-6)
    np.testing.assert_array_equal(tensors["best_classes"][:, 0], layers.argmax(1))
    np.testing.assert_allclose(tensors["best"][:, 0], layers.max(1), atol=1e-6)
    of_patches = tensors["patch_values"].reshape(len(layers), -1, 3)
    np.testing.assert_allclose(of_patches, -np.sort(-patches)[..., :3], atol=1e-6)
    target = int(metadata["target"])
    assert target == classes[0] or target in classes
    of_target = tensors["patch_target"].reshape(len(layers), -1)
    np.testing.assert_allclose(of_target, patches[..., target], atol=1e-6)
    if masked:
        before = literal({})[0]
        np.testing.assert_allclose(tensors["lines_before"], before[:, classes].T, atol=1e-6)
    else:
        assert "lines_before" not in tensors


def test_likely_classes_are_followed(session: vaw.Session) -> None:
    session.target = 4
    assert session.wait(60)
    tensors, metadata = read_out(session)
    classes = tensors["classes"].astype(int).tolist()
    assert metadata["target"] == "4"
    assert 4 in classes
    assert classes[0] == int(tensors["best_classes"][-1, 0])
    assert len(set(classes)) == len(classes)
    assert session.layer_decisions is not None


def test_every_layer_is_read_out_once(
    session: vaw.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = session.trace
    assert trace is not None
    outputs = [record.output.data_ptr() for record in trace.layers]
    readout, read = type(trace.model).readout, list[int]()

    def counted(vit: vaw.VisionTransformer, tokens: torch.Tensor) -> torch.Tensor:
        if tokens.data_ptr() in outputs:
            read.append(outputs.index(tokens.data_ptr()))
        return readout(vit, tokens)

    monkeypatch.setattr(type(trace.model), "readout", counted)
    read_out(session)
    assert read == list(range(trace.num_layers))


def test_another_image_drops_it(session: vaw.Session) -> None:
    read_out(session)
    session.image = TINY.inputs(1, torch.float64, seed=3)
    assert session._layer_decisions == b""
    assert session.layer_decisions is None
    assert session.wait(60)


def test_pooled_by_attention_only_patches_are_refused() -> None:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = timm.create_model("vit_base_patch16_siglip_224", num_classes=5, **sizes).eval()
    session = vaw.Session(model, torch.randn(1, 3, 32, 32))
    assert session.wait(60)
    tensors, metadata = read_out(session)
    assert metadata["refused"] == ""
    assert "pools its tokens by attention" in metadata["patches_refused"]
    assert tensors["lines"].shape[1] == 2
    assert "patch_values" not in tensors
    assert session.layer_decisions is not None
    assert session.layer_decisions.tokens == ("readout",)
    assert session.status["error"] is None
    session.close()


def test_without_classes_it_is_refused_in_a_sentence() -> None:
    model = TINY.build(torch.float32)
    model.reset_classifier(0)
    session = vaw.Session(model, TINY.inputs(1, torch.float32))
    assert session.wait(60)
    tensors, metadata = read_out(session)
    assert tensors == {}
    assert "has no classes" in metadata["refused"]
    assert session.status["error"] is None
    session.close()


def test_cancelling_leaves_what_was_there(session: vaw.Session) -> None:
    read_out(session)
    before = session._layer_decisions
    session.read_out_layers()
    session.cancel()
    assert session.wait(60)
    assert session._layer_decisions == before
    read_out(session)
