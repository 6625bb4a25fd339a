"""What Python computes, for vitest of the live page: ``python tests/live_fixtures.py`` writes it.

Small things by themselves; that a page with the model in it computes what the package does, a
browser shows (``tests/browser/test_live.py``).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from vit_attention_widget.evaluation.fill import _blurred
from vit_attention_widget.explainers.places_on_the_way import pilot_places, places_and_shares
from vit_attention_widget.models.token_layout import TokenLayout
from vit_attention_widget.patterns.autoencoder import Autoencoder
from vit_attention_widget.patterns.cells import cell_shares
from vit_attention_widget.patterns.layout import place
from vit_attention_widget.protocol.tensors import quantize
from vit_attention_widget.pruning.share_left import heads_within
from vit_attention_widget.statistics.ranks import rank_correlation

OUTPUT = Path(__file__).parents[1] / "js" / "test" / "fixtures" / "live.json"
DIGITS = 12


def fixtures() -> dict[str, object]:
    """Each by what computes it in ``js/src/live``."""
    draw = np.random.default_rng(0)
    return {
        "places": _places(),
        "blur": _blur(draw),
        "order": _order(draw),
        "cells": cell_shares(TokenLayout(("class",), 3, 4, 8, 8), 2),
        "autoencoder": _autoencoder(),
        "placed": _placed(draw),
        "within": _within(),
        "quantized": _quantized(draw),
        "correlation": _correlation(draw),
    }


def _places() -> object:
    """A target that rises fast at first, one that never changes, and one that falls."""
    way = torch.tensor(pilot_places(), dtype=torch.float64)
    cases = []
    for scores in (1 - torch.exp(-30 * way), torch.zeros_like(way), -(way**3)):
        places, shares = places_and_shares(scores[:, None], 32)
        cases.append({"scores": scores, "places": places[:, 0], "shares": shares[:, 0]})
    return {"pilot": way, "cases": cases}


def _blur(draw: np.random.Generator) -> object:
    picture = torch.from_numpy(draw.normal(size=(1, 3, 6, 6))).float()
    return {"picture": picture.flatten(), "sigma": 1.5, "blurred": _blurred(picture, 1.5, 1.5)}


def _order(draw: np.random.Generator) -> object:
    """As ``evaluation/maps.py: pixel_ranks`` has it; many patches are of equal value."""
    values, shuffled = draw.integers(0, 4, 20) / 4, draw.permutation(20)
    order = shuffled[np.argsort(-values[shuffled], kind="stable")]
    return {"map": values, "shuffled": shuffled, "order": order}


def _autoencoder() -> object:
    generator = torch.Generator().manual_seed(0)
    model = Autoencoder(6, 2)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
        for part in (model.encoder, model.decoder):  # few hidden units, so that the file is small
            for name in ("inner", "inner_bias", "outer_bias"):
                setattr(part, name, torch.nn.Parameter(getattr(part, name)[:8]))
            part.outer = torch.nn.Parameter(part.outer[:, :8])
        vector = torch.randint(0, 256, (6,), generator=generator) / 255
        code = model.encode(vector[None])
        state = {
            name: {"shape": list(tensor.shape), "data": tensor.flatten()}
            for name, tensor in model.state_dict().items()
        }
        decoded = model.decode(code)[0]
    return {"weights": state, "vector": vector, "code": code[0], "decoded": decoded}


def _placed(draw: np.random.Generator) -> object:
    codes, points = draw.normal(size=(12, 3)), draw.uniform(-1, 1, (12, 2))
    new = draw.normal(size=(4, 3))
    new[0] = codes[7]
    places, nearest = place(*(each.astype(np.float32) for each in (new, codes, points)))
    return {
        "codes": codes.flatten(),
        "points": points.flatten(),
        "new": new,
        "places": places,
        "nearest": nearest,
    }


def _within() -> object:
    curve = [0.95, 0.96, 0.9, 0.95 * 0.8, 0.7, 0.9]
    cases = [(curve, 0.99), (curve, 0.94), (curve, 0.8), (curve, 0.5), ([0.5], 1.0)]
    return [[values, share, heads_within(values, share)] for values, share in cases]


def _quantized(draw: np.random.Generator) -> object:
    rows = draw.random((3, 5)).astype(np.float32)
    rows[1] = 0
    levels, scale = quantize(rows)
    return {"rows": rows.flatten(), "levels": levels.flatten(), "scale": scale}


def _correlation(draw: np.random.Generator) -> object:
    maps = draw.integers(0, 5, (3, 9)).astype(np.float64)
    maps[2] = 1
    return {"maps": maps, "expected": rank_correlation(maps)}


def written() -> str:
    """The file's text."""
    return json.dumps(_plain(fixtures()), separators=(",", ":")) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | torch.Tensor):
        value = value.flatten().tolist() if value.ndim > 2 else value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, DIGITS)
    return value


if __name__ == "__main__":
    OUTPUT.write_text(written(), "utf-8")
