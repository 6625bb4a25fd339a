"""The contract over other libraries than timm: right, and without a trace of us on the model."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import transformers as hf
from libraries import MODELS, SIZE, TINY, OwnModel, Tiny, adapted
from safetensors.torch import load_file
from snapshots import untouched
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import ImageError, ParameterError, UnsupportedModelError

REAL = Path(__file__).parents[2] / "shared" / "real"


@pytest.fixture(params=MODELS)
def tiny(request: pytest.FixtureRequest) -> Tiny:
    return request.param


def images(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_geometry_and_records(tiny: Tiny) -> None:
    model = tiny.build()
    vit = vaw.describe(adapted(model))
    assert (vit.readout_kind, vit.num_classes, vit.num_heads) == (
        tiny.readout,
        tiny.classes,
        (2,) * 3,
    )
    trace = vaw.trace(vit, images(), tiny.target)
    assert trace.tokens.prefix == tiny.prefix
    assert (trace.tokens.rows, trace.tokens.cols) == (4, 4)
    for layer, record in enumerate(trace.layers):
        # written-out attention of transformers takes its softmax in float32, whatever the model's
        tolerance = 1e-6 if "eager" in tiny.name else 1e-12
        attention = trace.attention(layer)
        torch.testing.assert_close(attention @ record.v, record.out, rtol=tolerance, atol=tolerance)
        assert trace.block_rows.can_finish(layer)
    for lower, upper in zip(trace.layers, trace.layers[1:], strict=False):
        torch.testing.assert_close(lower.output, upper.input, rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(vit.readout(trace.layers[-1].output), trace.logits)
        torch.testing.assert_close(vit.forward(images()), trace.logits)


def test_logits_are_the_models_own(tiny: Tiny) -> None:
    """Bit-equal; PyTorch's own fused encoder, which function modes switch off, to rounding."""
    model = tiny.build(torch.float32)
    vit, given = vaw.describe(adapted(model)), images(torch.float32)
    with torch.no_grad():
        plain = vit.forward(given)
    logits = vaw.trace(vit, given, tiny.target).logits
    fused = any(isinstance(m, nn.MultiheadAttention) for m in model.modules())
    tolerance = 2e-5 if fused else 0
    torch.testing.assert_close(logits, plain, rtol=tolerance, atol=tolerance)


def test_explainers_and_heads_leave_it_untouched(tiny: Tiny) -> None:
    model, given = tiny.build(torch.float32), images(torch.float32)
    vit = vaw.describe(adapted(model))
    with untouched(model):
        trace = vaw.trace(vit, given, tiny.target)
        for name, method in explainers.METHODS.items():
            assert method(trace).values.shape == (2, 3, 4, 4), name
        metrics = ["probability", "taylor"] if tiny.classes else ["class_token_cosine", "taylor"]
        vaw.head_importance(vit, given, tiny.target, metric=metrics)
        vaw.attention_strength(trace)
        with torch.no_grad(), vaw.masked_heads(vit, {0: [0]}):
            vit.forward(given)


@pytest.mark.parametrize("tiny", [t for t in TINY if t.classes], ids=lambda t: t.name)
def test_leaving_a_head_out_is_masking_it(tiny: Tiny) -> None:
    model = tiny.build()
    vit, given = vaw.describe(adapted(model)), images()
    importance = vaw.head_importance(vit, given, metric="probability")
    labels = importance.labels
    for layer, head in ((0, 1), (2, 0)):
        with torch.no_grad(), vaw.masked_heads(vit, {layer: [head]}):
            p = vit.forward(given).softmax(-1)[torch.arange(2), labels]
        torch.testing.assert_close(importance.baseline - p, importance.values[:, layer, head])


@pytest.mark.parametrize("family", ["vit", "dinov2", "beit"])
def test_attention_is_what_transformers_returns(family: str) -> None:
    name = {"vit": "hf-vit-eager", "dinov2": "hf-dinov2", "beit": "hf-beit"}[family]
    model = next(tiny for tiny in TINY if tiny.name == name).build()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        theirs = model(images(), output_attentions=True).attentions
    trace = vaw.trace(model, images())
    for layer, attention in enumerate(theirs):
        torch.testing.assert_close(trace.attention(layer), attention, rtol=1e-6, atol=1e-6)


def test_gradients_reach_attention_as_autograd_says() -> None:
    """LeGrad's gradient, against attention kept by transformers itself."""
    model = next(tiny for tiny in TINY if tiny.name == "hf-vit-eager").build()
    theirs = model(images(), output_attentions=True)
    label = int(theirs.logits[0].argmax())
    gradients = torch.autograd.grad(theirs.logits[0, label], theirs.attentions)
    trace = vaw.trace(model, images()[:1], label)
    for layer, gradient in enumerate(gradients):
        torch.testing.assert_close(trace.attention_gradient(layer), gradient[:1])


def test_real_weights_through_timm_and_transformers() -> None:
    weights = REAL / "weights" / "vit_tiny_patch16_224.in1k.fp16.safetensors"
    if not weights.exists():
        pytest.skip("../shared/real is not there")
    state = {name: tensor.float() for name, tensor in load_file(weights).items()}
    ours = timm.create_model("vit_tiny_patch16_224").eval()
    ours.load_state_dict(state)
    config = hf.ViTConfig(
        hidden_size=192,
        num_attention_heads=3,
        intermediate_size=768,
        num_labels=1000,
        layer_norm_eps=1e-6,
    )
    theirs = hf.ViTForImageClassification(config).eval()
    theirs.load_state_dict(_converted(state, theirs))
    photograph = vaw.describe(ours).prepare(REAL / "imagenet" / "n02128925_jaguar.JPEG")
    one, other = vaw.trace(ours, photograph), vaw.trace(theirs, photograph)
    torch.testing.assert_close(one.logits, other.logits, rtol=1e-4, atol=1e-4)
    for name, method in explainers.METHODS.items():
        a, b = method(one).values, method(other).values
        assert (a - b).abs().max() <= 1e-5 * a.abs().max() + 1e-7, name


def _converted(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """timm's keys as transformers', whichever of its versions."""
    known = model.state_dict()
    names = [
        ("cls_token", "embeddings.cls_token"),
        ("pos_embed", "embeddings.position_embeddings"),
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("norm.", "layernorm."),
    ]
    converted: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("head."):
            converted[f"classifier.{name[5:]}"] = value
        elif name.startswith("blocks."):
            _, index, rest = name.split(".", 2)
            converted |= _block(known, index, rest, value)
        else:
            old, new = next(pair for pair in names if name.startswith(pair[0]))
            converted[f"vit.{new}{name[len(old) :]}"] = value
    return converted


def _block(known: dict[str, Tensor], index: str, rest: str, value: Tensor) -> dict[str, Tensor]:
    new = f"vit.layers.{index}." if f"vit.layers.{index}.layernorm_before.weight" in known else ""
    start = new or f"vit.encoder.layer.{index}."
    part, kind = rest.rsplit(".", 1)
    if part == "attn.qkv":
        names = ("q_proj", "k_proj", "v_proj") if new else ("query", "key", "value")
        inner = "attention." if new else "attention.attention."
        pieces = zip(names, value.chunk(3), strict=True)
        return {f"{start}{inner}{name}.{kind}": piece for name, piece in pieces}
    where = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.o_proj" if new else "attention.output.dense",
        "mlp.fc1": "mlp.fc1" if new else "intermediate.dense",
        "mlp.fc2": "mlp.fc2" if new else "output.dense",
    }[part]
    return {f"{start}{where}.{kind}": value}


def test_a_picture_goes_through_the_models_preprocessing() -> None:
    model = next(tiny for tiny in TINY if tiny.name == "torchvision").build(torch.float32)
    inputs = vaw.describe(model).prepare(vaw.demo.scene(seed=1).image)
    assert inputs.shape == (1, 3, 32, 32)
    picture = vaw.describe(model).picture(inputs)[0]
    assert picture.size == (32, 32)


def test_the_session_shows_a_model_of_another_library() -> None:
    model = next(tiny for tiny in TINY if tiny.name == "hf-vit").build(torch.float32)
    session = vaw.Session(model, vaw.demo.scene(seed=1).image)
    assert session.wait(60)
    assert session.status["error"] is None
    assert len(session.top5) == 5
    session.pruned_heads = [(0, 1)]
    assert session.wait(60)
    small = session.pruned_model()
    inputs = vaw.describe(model).prepare(vaw.demo.scene(seed=1).image)
    with torch.no_grad(), vaw.masked_heads(model, {0: [1]}):
        masked = model(pixel_values=inputs).logits
    with torch.no_grad():
        torch.testing.assert_close(small(pixel_values=inputs).logits, masked)
    session.close()


# --- what cannot be shown, and why ---------------------------------------------------------------


def _small(**options: object) -> dict[str, object]:
    return {**SIZE, **options}


def test_windowed_models_say_why() -> None:
    config = hf.SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2]
    )
    with pytest.raises(UnsupportedModelError, match="shifted windows"):
        vaw.describe(hf.SwinForImageClassification(config))


def test_a_masked_autoencoder_says_what_to_set() -> None:
    with pytest.raises(UnsupportedModelError, match="mask_ratio = 0"):
        vaw.describe(hf.ViTMAEModel(hf.ViTMAEConfig(**_small())))


@pytest.mark.skipif(not hasattr(hf, "Siglip2VisionModel"), reason="before transformers 4.49")
def test_lists_of_patches_say_why() -> None:
    config = hf.Siglip2VisionConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(UnsupportedModelError, match="list of patches"):
        vaw.describe(hf.Siglip2VisionModel(config))


def test_a_language_model_says_what_fits() -> None:
    config = hf.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    with pytest.raises(UnsupportedModelError, match="BertModel"):
        vaw.describe(hf.BertModel(config))


def test_another_size_is_refused() -> None:
    model = next(tiny for tiny in TINY if tiny.name == "torchvision").build(torch.float32)
    with pytest.raises(ImageError, match="built for 32 x 32"):
        vaw.trace(model, torch.zeros(1, 3, 40, 32))


class _Mean(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(1)


def test_adapting_with_what_does_not_fit() -> None:
    model = OwnModel(norm_first=True)
    with pytest.raises(ParameterError, match="pool is"):
        vaw.adapt(model, "encoder.layers", lambda t: t, pool="sum")
    with pytest.raises(ParameterError, match=r"prefix=.*'class'"):
        vaw.adapt(model, "encoder.layers", lambda t: t, prefix=(), patch_size=8, image_size=32)
    with pytest.raises(ParameterError, match="no blocks"):
        vaw.adapt(model, "head", lambda t: t)
    with pytest.raises(ParameterError, match="no module"):
        vaw.adapt(model, "encoder.blocks", lambda t: t)
    with pytest.raises(UnsupportedModelError, match="could not be run on images"):
        vaw.adapt(nn.Sequential(nn.Linear(2, 2)), "", lambda t: t)
    no_attention = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.Flatten(2), nn.Linear(16, 16), _Mean())
    with pytest.raises(UnsupportedModelError, match="num_heads"):
        vaw.adapt(no_attention, [no_attention[2]], lambda t: t.mean(1), image_size=32)
