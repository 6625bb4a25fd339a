"""Tensors on the wire, and messages that are and are not the protocol's."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load

from vit_attention_widget.errors import ProtocolError
from vit_attention_widget.protocol import messages, tensors


def test_tensors_come_back_as_they_went() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4).T  # not contiguous
    loaded = load(tensors.encode({"a": values}, {"layer": 3}))
    np.testing.assert_array_equal(loaded["a"], values)


def test_rows_keep_their_own_scale() -> None:
    rows = (
        np.abs(np.random.default_rng(0).normal(size=(5, 7, 100)))
        * 10.0 ** -np.arange(5)[:, None, None]
    )
    quantized, scale = tensors.quantize(rows)
    assert quantized.dtype == np.uint8
    error = np.abs(quantized / 255 * scale[..., None] - rows)
    assert (error <= rows.max(-1, keepdims=True) / 509).all()


def test_a_row_of_zeros_stays_zero() -> None:
    quantized, scale = tensors.quantize(np.zeros((2, 3)))
    assert not quantized.any()
    assert not scale.any()


def test_requests_and_cancels() -> None:
    request = messages.parse({"id": "a", "method": "attention", "params": {"layer": 2}})
    assert isinstance(request, messages.Request)
    assert request.integer("layer", 0, 2) == 2
    assert messages.parse({"cancel": "a"}) == messages.Cancel("a")


@pytest.mark.parametrize(
    "content",
    [None, 3, [], {}, {"id": 1, "method": "x", "params": {}}, {"id": "a", "method": "x"}],
)
def test_other_messages_are_refused(content: object) -> None:
    with pytest.raises(ProtocolError, match="was expected"):
        messages.parse(content)


@pytest.mark.parametrize("value", [None, "1", 1.0, True, -1, 3])
def test_numbers_out_of_range_are_refused(value: object) -> None:
    request = messages.Request("a", "attention", {"layer": value})
    with pytest.raises(ProtocolError, match="0 to 2"):
        request.integer("layer", 0, 2)
