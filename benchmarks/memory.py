"""Extra memory of a question at many tokens; run in a process of its own.

``python -m benchmarks.memory daam 4096`` prints one JSON object: MiB before and the extra peak.
"""

from __future__ import annotations

import json
import math
import sys
import time

import timm
import torch

import vit_attention_widget as vaw

from .measure import peak_mib
from .published import RULES, explicit_copy


def main(question: str, patches: int) -> None:
    side = 16 * math.isqrt(patches)
    model = timm.create_model("vit_small_patch16_224", img_size=side).eval()
    images = torch.rand(1, 3, side, side)
    with torch.no_grad():
        model(images[:, :, :side])  # what the model itself needs is not our extra
    before = peak_mib()
    start = time.perf_counter()
    if question == "daam":  # and one clicked patch: its attention to all, in every head
        found = vaw.trace(model, images)
        assert torch.isfinite(vaw.explainers.daam(found).final).all()
        for layer in range(found.num_layers):
            found.attention(layer, query=found.tokens.token(1, 1))
    elif question == "strength":
        found = vaw.trace(model, images, gradients=False)
        assert torch.isfinite(vaw.attention_strength(found).entropy).all()
    elif question == "retained":  # the published rule, which keeps every matrix
        explicit = explicit_copy(model, "vit_small_patch16_224", img_size=side)
        before, start = peak_mib(), time.perf_counter()
        assert torch.isfinite(RULES["daam"](explicit, images, 0)).all()
    elif question == "forward":
        with torch.no_grad():
            model(images)
    else:
        raise SystemExit(f"unknown question {question!r}: daam, strength, retained or forward")
    seconds = time.perf_counter() - start
    print(json.dumps({"before": before, "extra": peak_mib() - before, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
