"""Extra memory and time of a question at many tokens; run in a process of its own.

``python -m benchmarks.memory daam 4096`` prints one JSON object: the peak in MiB above the model
at rest, and the median seconds of three more runs.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable

import timm
import torch

import vit_attention_widget as vaw

from .measure import extra_mib, on_device, seconds
from .published import RULES, explicit_copy

NAME = "vit_small_patch16_224"


def question(asked: str, side: int, options: argparse.Namespace) -> Callable[[], object]:
    """What is run, with its model ready."""
    dtype = getattr(torch, options.dtype)
    model = timm.create_model(NAME, img_size=side).eval().to(options.device, dtype)
    images = torch.rand(1, 3, side, side, device=options.device, dtype=dtype)
    if asked == "retained":  # the published rule, which keeps every matrix
        model = explicit_copy(model, NAME, img_size=side)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    def click() -> None:
        trace = vaw.trace(model, images)
        assert torch.isfinite(vaw.explainers.daam(trace).final).all()
        for layer in range(trace.num_layers):
            trace.attention(layer, query=trace.tokens.token(1, 1))

    runs: dict[str, Callable[[], object]] = {
        "forward": forward,
        "daam": lambda: vaw.explainers.daam(vaw.trace(model, images)),
        "click": click,
        "strength": lambda: vaw.attention_strength(vaw.trace(model, images, gradients=False)),
        "retained": lambda: RULES["daam"](model, images, 0),
    }
    if asked not in runs:
        raise SystemExit(f"unknown question {asked!r}: {', '.join(runs)}")
    return runs[asked]


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    parser.add_argument("patches", type=int)
    on_device(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = question(options.question, 16 * math.isqrt(options.patches), options)
    extra = extra_mib(run, options.device)
    print(json.dumps({"extra": extra, "seconds": statistics.median(seconds(run) for _ in "123")}))


if __name__ == "__main__":
    main()
