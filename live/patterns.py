"""Patterns of attention for the live page: they are learned here, and heads are placed there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

import vit_attention_widget as vaw
from vit_attention_widget import patterns as package
from vit_attention_widget.demo.model import WEIGHTS
from vit_attention_widget.export.parts import part
from vit_attention_widget.patterns import PatternFamily
from vit_attention_widget.protocol.tensors import encode

KEPT = Path(__file__).parent / "graphs"


def learned(scenes: list[vaw.demo.Scene], seeds: int = 3) -> vaw.AttentionPatterns:
    """The patterns of the bundled model over some scenes.

    Learning takes a minute, so they are kept until the scenes, the weights or the code change. The
    weights of the autoencoders are rounded to half precision, as the page has them.
    """
    code = sorted(Path(package.__file__).parent.glob("*.py"))
    held = [WEIGHTS.read_bytes(), *(path.read_bytes() for path in code), str(seeds).encode()]
    held += [scene.image.tobytes() for scene in scenes]
    path = KEPT / f"patterns-{hashlib.sha256(b''.join(held)).hexdigest()[:16]}.safetensors"
    if path.exists():
        patterns = vaw.AttentionPatterns.load(path)
    else:
        images = [scene.image for scene in scenes]
        patterns = vaw.AttentionPatterns(seeds=seeds).fit(vaw.demo.load_model(), images)
        path.parent.mkdir(exist_ok=True)
        patterns.save(path)
    with torch.no_grad():
        for _, family in patterns:
            for tensor in family.autoencoder.state_dict().values():
                tensor.copy_(tensor.half())
    return patterns


def patterns_file(session: vaw.Session) -> str:
    """What the page reads once somebody opens that panel."""
    assert session.patterns is not None
    points = session.studies.patterns.points
    return part({n: {"map": points(n), "learned": _tensors(f)} for n, f in session.patterns})


def _tensors(family: PatternFamily) -> bytes:
    state = family.autoencoder.state_dict()
    return encode(
        {
            **{name: each.numpy().astype(np.float16) for name, each in state.items()},
            "codes": family.codes,
            "points": family.embedding,
            "labels": family.labels.astype(np.uint8),
        }
    )
