"""Press Ctrl-C at random moments and count what it leaves behind.

python -m tests.fuzz.interrupts --times 2000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import timm
import torch
from torch import nn
from torch.nn.modules import module as module_hooks

import vit_attention_widget as vaw

__all__ = ["Count", "interrupt"]


@dataclass
class Count:
    """How many actions were interrupted, ended before that, or left something behind."""

    interrupted: int = 0
    ended: int = 0
    residue: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def actions(model: nn.Module) -> dict[str, Callable[[], object]]:
    """What a user may interrupt, by name."""
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def masked() -> object:
        with vaw.masked_heads(model, {0: [1]}):
            return model(images)

    explainers = vaw.explainers
    return {
        "trace": lambda: vaw.trace(model, images),
        "trace without gradients": lambda: vaw.trace(model, images, gradients=False),
        "daam": lambda: explainers.daam(vaw.trace(model, images)),
        "legrad": lambda: explainers.legrad(vaw.trace(model, images)),
        "gradcam": lambda: explainers.gradcam(vaw.trace(model, images)),
        "Taylor": lambda: vaw.head_importance(model, images, metric="taylor"),
        "masked": masked,
        "importance": lambda: vaw.head_importance(model, images),
        "curve": lambda: vaw.pruning_curve(model, images, order="random"),
        "accuracy": lambda: vaw.accuracy(model, images, [0, 1]),
    }


def state(model: nn.Module) -> dict[str, object]:
    """All that an interrupt might leave changed."""
    hooks = {n: len(v) for n, v in vars(module_hooks).items() if n.startswith("_global_")
             and hasattr(v, "__len__")}  # fmt: skip
    return {
        "modes of modules": [module.training for module in model.modules()],
        "attributes of modules": [sorted(vars(module)) for module in model.modules()],
        "hooks of modules": [
            (len(module._forward_hooks), len(module._forward_pre_hooks))
            for module in model.modules()
        ],
        "hooks of all modules": hooks,
        "attributes of nn.Module": sorted(vars(nn.Module)),
        "function modes": torch._C._len_torch_function_stack(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "handler": str(signal.getsignal(signal.SIGINT)),
    }


def interrupt(times: int, seed: int) -> Count:
    """Interrupt each action at ``times`` random moments."""
    torch.manual_seed(seed)
    chance = random.Random(seed)
    model = timm.create_model("test_vit", img_size=32, num_classes=5, drop_rate=0.2).train()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
    count, before = Count(), state(model)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    for name, act in actions(model).items():
        act()
        started = time.perf_counter()
        act()
        usual = time.perf_counter() - started
        for _ in range(times):
            moment = chance.uniform(1e-6, 1.1 * usual)
            try:
                signal.setitimer(signal.ITIMER_REAL, moment)
                act()
                signal.setitimer(signal.ITIMER_REAL, 0)
                count.ended += 1
            except KeyboardInterrupt:
                count.interrupted += 1
            except BaseException as error:
                count.failed.append(f"{name}: {error!r}")
            signal.setitimer(signal.ITIMER_REAL, 0)
            after = state(model)
            if after != before:
                changed = [key for key, value in before.items() if after[key] != value]
                count.residue.append(f"{name} after {moment / usual:.3f}: {', '.join(changed)}")
                before = after
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2000, help="interrupts of each action")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(asdict(interrupt(asked.times, asked.seed)), indent=1))


if __name__ == "__main__":
    main()
