"""Bad input: a clear error that says what was given, what is possible and what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest
import timm
import torch
from models import BY_NAME
from snapshots import untouched
from torch import Tensor, nn
from twins import twins

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import (
    CaptureError,
    ImageError,
    ParameterError,
    TargetError,
    TokenLayoutError,
    UnsupportedModelError,
    VitAttentionError,
)

OTHER_MODELS = {
    "resnet18": ("ResNet", "no attention"),
    "edgenext_xx_small": ("EdgeNeXt", "its attention (first at 'stages.1.blocks.1.xca')"),
    "swin_tiny_patch4_window7_224": ("SwinTransformer", "windows"),
    "swinv2_cr_tiny_224": ("SwinTransformerV2Cr", "windows"),
    "xcit_nano_12_p8_224": ("Xcit", "channels"),
    "hiera_tiny_224": ("Hiera", "stage"),
    "pvt_v2_b0": ("PyramidVisionTransformerV2", "downsampled"),
    "cait_xxs24_224": ("Cait", "class token"),
    "convnext_atto": ("ConvNeXt", "no attention"),
    "mixer_s32_224": ("MlpMixer", "no attention"),
    "efficientnet_b0": ("EfficientNet", "no attention"),
    "levit_128s": ("Levit", ""),
}


@pytest.mark.parametrize("name", list(OTHER_MODELS))
def test_models_that_are_no_isotropic_vision_transformers(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    class_name, reason = OTHER_MODELS[name]
    with pytest.raises(UnsupportedModelError) as caught:
        vaw.describe(model)
    message = str(caught.value)
    assert class_name in message
    assert reason in message
    assert "vit_base_patch16_224" in message
    for use in (vaw.trace, vaw.head_importance):
        with pytest.raises(UnsupportedModelError, match=class_name):
            use(model, torch.zeros(3, 32, 32))


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (nn.Linear(3, 3), UnsupportedModelError, "Linear.*torch"),
        (nn.Sequential(nn.Conv2d(3, 3, 1)), UnsupportedModelError, "Sequential"),
        ("vit_base_patch16_224", ParameterError, "str.*timm.create_model"),
        (None, ParameterError, "NoneType"),
        (torch.zeros(3), ParameterError, "Tensor"),
    ],
)
def test_things_that_are_no_models(model: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        vaw.trace(model, torch.zeros(3, 32, 32))


def test_a_readout_that_is_not_one_vector() -> None:
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=1, global_pool="", class_token=False
    )
    with pytest.raises(UnsupportedModelError, match="global_pool=''"):
        vaw.describe(model)


def test_a_block_with_several_attentions() -> None:
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32,
        depth=2,
        block_fn=timm.models.vision_transformer.ParallelThingsBlock,
    )
    with pytest.raises(UnsupportedModelError, match="ParallelThingsBlock"):
        vaw.describe(model)


def subclassed(model: nn.Module, forward: object) -> nn.Module:
    model.__class__ = type("MyViT", (type(model),), {"forward": forward})
    return model


def test_a_forward_that_returns_something_else() -> None:
    tiny = BY_NAME["vit"]

    def forward(self: nn.Module, x: Tensor) -> object:
        return self.forward_features(x)

    model = subclassed(tiny.build(), forward)
    with untouched(model), pytest.raises(UnsupportedModelError, match=r"\[2, 17, 16\]"):
        vaw.trace(model, tiny.inputs())


def test_a_forward_that_returns_a_dictionary_is_read() -> None:
    tiny = BY_NAME["vit"]
    plain = vaw.trace(tiny.build(), tiny.inputs())

    def forward(self: nn.Module, x: Tensor) -> object:
        return {"logits": self.forward_head(self.forward_features(x))}

    model = subclassed(tiny.build(), forward)
    with untouched(model):
        trace = vaw.trace(model, tiny.inputs())
    for name, method in explainers.METHODS.items():
        torch.testing.assert_close(method(trace).values, method(plain).values, msg=name)


def test_a_forward_that_reads_out_differently_is_not_read_out_wrongly() -> None:
    tiny = BY_NAME["vit"]

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        return 3 * self.head(self.forward_features(x).amax(1))

    model = subclassed(tiny.build(), forward)
    trace = vaw.trace(model, tiny.inputs())
    assert vaw.describe(model).readout_kind == "max"
    for layer in (0, -1):  # as the model's own code reads them
        tokens = trace.layers[layer].output
        expected = 3 * model.head(model.norm(tokens).amax(1))
        torch.testing.assert_close(trace.model.readout(tokens), expected)
    assert torch.equal(trace.logits, model(tiny.inputs()))


def test_what_a_hook_adds_to_the_readout_is_not_passed_over() -> None:
    tiny = BY_NAME["vit"]
    model = tiny.build()
    model.register_forward_hook(lambda module, args, logits: 3 * logits)
    trace = vaw.trace(model, tiny.inputs())
    for method in (explainers.daam, explainers.gmar, explainers.rollout, explainers.attention):
        assert torch.isfinite(method(trace).values).all()
    with pytest.raises(UnsupportedModelError, match="does more than its norm and head"):
        explainers.legrad(trace)
    with pytest.raises(UnsupportedModelError, match="does more than its norm and head"):
        vaw.head_importance(model, tiny.inputs())


def test_a_model_without_a_classifier() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    model.reset_classifier(0)
    trace = vaw.trace(model, inputs)
    for method in (explainers.attention, explainers.rollout):
        assert torch.isfinite(method(trace).values).all()
    for method in (explainers.daam, explainers.gmar, explainers.legrad):
        with pytest.raises(TargetError, match=r"num_classes=0.*callable"):
            method(trace)
    for target in (0, "cat", [1, 2]):
        with pytest.raises(TargetError, match="num_classes=0"):
            trace.retarget(target)
    with pytest.raises(ParameterError, match="not a class"):
        vaw.head_importance(model, inputs)

    def similarity(features: Tensor) -> Tensor:
        return torch.cosine_similarity(features, torch.ones_like(features))

    for method in explainers.METHODS.values():
        assert torch.isfinite(method(trace.retarget(similarity)).values).all()


# --- weights and input ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    with torch.no_grad():
        model.blocks[1].mlp.fc1.weight[0, 0] = value
    for use in (vaw.trace, vaw.head_importance):
        with untouched(model), pytest.raises(CaptureError, match=r"not finite.*weights"):
            use(model, inputs)


def test_input_that_is_not_finite() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    inputs[0, 1, 2, 3] = torch.inf
    for use in (vaw.trace, vaw.head_importance):
        with untouched(model), pytest.raises(ImageError, match="image 0 of 2"):
            use(model, inputs)


# --- every message -------------------------------------------------------------------------------


def bad_calls() -> dict[str, object]:
    pair = twins("vit")
    model, x, trace = pair.model, pair.inputs, pair.trace
    return {
        "layer": lambda: trace.attention(7),
        "head": lambda: trace.attention(0, head=7),
        "token": lambda: trace.attention(0, query=99),
        "patch": lambda: trace.tokens.token(9, 9),
        "target": lambda: vaw.trace(model, x, 99),
        "class name": lambda: vaw.trace(model, x, "no such class"),
        "mask layer": lambda: vaw.trace(model, x, head_mask={7: [0]}),
        "mask head": lambda: vaw.trace(model, x, head_mask={0: [7]}),
        "metric": lambda: vaw.head_importance(model, x, metric="speed"),
        "batch": lambda: vaw.head_importance(model, x, max_batch=0),
        "fusion": lambda: explainers.rollout(trace, head_fusion="sum"),
        "readout": lambda: explainers.legrad(trace, readout="max"),
        "size": lambda: vaw.trace(model, torch.zeros(3, 224, 224)),
        "array": lambda: vaw.trace(model, np.zeros((8, 8, 3))),
        "bytes": lambda: vaw.trace(model, b"GIF89a"),
        "model": lambda: vaw.trace(nn.Identity(), x),
    }


@pytest.mark.parametrize("name", list(bad_calls()))
def test_a_message_is_one_for_people(name: str) -> None:
    """One of ours, a sentence or more, with the value that was given and what is possible."""
    with pytest.raises(VitAttentionError) as caught:
        bad_calls()[name]()
    message = str(caught.value)
    assert 40 < len(message) < 600
    assert message.rstrip().endswith(".")
    assert not re.search(r"<class|object at 0x|Traceback", message)


def test_errors_of_arguments_are_value_errors_too() -> None:
    with pytest.raises(ValueError, match="7"):
        twins("vit").trace.attention(7)
    assert issubclass(TokenLayoutError, VitAttentionError)


def test_unknown_keywords_are_refused() -> None:
    pair = twins("vit")
    for call in (vaw.trace, vaw.head_importance, vaw.masked_heads):
        with pytest.raises(TypeError, match="layers"):
            call(pair.model, pair.inputs, layers=3)


def test_the_same_model_still_works_after_all_of_it() -> None:
    pair = twins("vit")
    expected = explainers.daam(pair.trace).values
    with untouched(pair.model):
        for call in bad_calls().values():
            with pytest.raises(VitAttentionError):
                call()
    again = vaw.trace(pair.model, pair.inputs, [1, 3])
    assert torch.equal(explainers.daam(again).values, expected)
