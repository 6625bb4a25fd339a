"""What works with a model of another library, held against what the model does by itself.

That is its output, and the attention that it returns (``attn_implementation="eager"``) or that is
computed by hand.
"""

from __future__ import annotations

import inspect
import re
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from library_models import Case
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import VitAttentionError


@dataclass
class Outcome:
    """What became of it."""

    case: Case
    tokens: str = ""
    readout: str = ""
    oracle: str = ""
    works: bool = False
    refused: str = ""
    wrong: str = ""

    @property
    def row(self) -> str:
        """In the table."""
        result = "works" if self.works else self.refused or f"**{self.wrong}**"
        cells = (f"`{self.case.name}`", self.tokens, self.readout, self.oracle, result)
        return f"| {' | '.join(cells)} |"


def check(case: Case) -> Outcome:
    """Hold what the package says of a model against what the model does."""
    outcome = Outcome(case)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = case.create().eval()
            _randomize(model)
            _check(model, outcome)
        outcome.works = True
    except VitAttentionError as error:
        outcome.refused = re.sub(r"\s+", " ", str(error)).split(" Plain Vision Transformers are")[0]
    except AssertionError as error:
        outcome.wrong = f"differs: {error}".splitlines()[0]
    except Exception as error:
        outcome.wrong = f"raises {type(error).__name__}: {error}".splitlines()[0][:160]
    return outcome


def _randomize(model: nn.Module) -> None:
    """No weight is 0 or alike: what begins so (heads, biases, tokens) would show nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point() and parameter.ndim and not name.endswith("scale"):
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.05 * noise.to(parameter))


def _check(model: nn.Module, outcome: Outcome) -> None:
    vit = vaw.describe(model)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, vit.channels, *outcome.case.size, generator=generator)
    trace = vaw.trace(vit, inputs, None if vit.has_classes else _first)
    tokens = trace.tokens
    outcome.tokens = " + ".join([*_short(tokens.prefix), "patches"])
    outcome.readout = vit.readout_kind.replace("_", " ")
    if vit.model is not model:
        outcome.readout += f", by {type(vit.model).__name__}"
    with torch.no_grad():
        plain = _own_output(model if vit.library == "open_clip" else vit.model, inputs)
        if plain is not None:
            torch.testing.assert_close(trace.logits, plain, rtol=1e-4, atol=1e-5, msg="logits")
        read = vit.readout(trace.layers[-1].output)
    torch.testing.assert_close(read, trace.logits, rtol=1e-3, atol=1e-4, msg="readout")
    outcome.oracle = _check_attention(vit.model, trace, inputs)
    for name, method in vaw.explainers.METHODS.items():
        values = method(trace).values
        assert values.isfinite().all(), name
        assert values.shape[2:] == (tokens.rows, tokens.cols), name


def _first(features: Tensor) -> Tensor:
    return features[:, 0]


def _short(prefix: tuple[str, ...]) -> list[str]:
    registers = sum(name.startswith("register") for name in prefix)
    named = [name for name in prefix if not name.startswith("register")]
    return named + ([f"{registers} registers"] if registers else [])


def _own_output(model: Any, inputs: Tensor) -> Tensor | None:
    """What a model returns for images by itself; None where that is no vector."""
    if hasattr(model, "encode_image"):
        return model.encode_image(inputs) if not hasattr(model, "text_decoder") else (
            model.encode_image(inputs, normalize=False)
        )  # fmt: skip
    if hasattr(model, "get_image_features"):
        output = model.get_image_features(pixel_values=inputs)
        return output if isinstance(output, Tensor) else output.pooler_output
    named = "pixel_values" in inspect.signature(model.forward).parameters
    output = model(pixel_values=inputs) if named else model(inputs)
    if isinstance(output, Tensor):
        return output if output.ndim == 2 else None
    if isinstance(output, tuple):
        return next((o for o in output if isinstance(o, Tensor) and o.ndim == 2), None)
    values = (output.get(name) for name in ("logits", "image_embeds", "pooler_output"))
    return next((v for v in values if isinstance(v, Tensor) and v.ndim == 2), None)


def _check_attention(model: Any, trace: vaw.Trace, inputs: Tensor) -> str:
    """By the model's own attention where it returns that, else by its head outputs."""
    theirs = _own_attention(model, inputs)
    for layer, record in enumerate(trace.layers):
        attention = trace.attention(layer)
        if theirs is not None:
            torch.testing.assert_close(
                attention, theirs[layer], rtol=1e-4, atol=1e-5, msg="attention"
            )
        out = attention @ record.v.float()
        torch.testing.assert_close(out, record.out.float(), rtol=1e-3, atol=1e-4, msg="A v")
    return "its `output_attentions`" if theirs is not None else "its head outputs"


def _own_attention(model: Any, inputs: Tensor) -> tuple[Tensor, ...] | None:
    if not hasattr(model, "set_attn_implementation"):
        return None
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        with torch.no_grad():
            core: Any = model.vision_model if hasattr(model, "get_image_features") else model
            options: dict[str, Any] = {"output_attentions": True}
            if "noise" in inspect.signature(core.forward).parameters:  # the patches' order
                patches = (inputs.shape[-1] // core.config.patch_size) ** 2
                options["noise"] = torch.arange(patches).expand(len(inputs), -1)
            output = core(pixel_values=inputs, **options)
    except Exception:  # it has no such option
        return None
    finally:
        model.set_attn_implementation(before)
    maps = getattr(output, "attentions", None)
    complete = maps and all(isinstance(a, Tensor) and a.ndim == 4 for a in maps)
    return tuple(maps) if complete else None
