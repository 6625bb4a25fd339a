"""What is said of a model's readout is what its own code does, whatever its configuration says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torch.nn.utils.prune
import transformers as hf
from libraries import SIZE, TEXT
from models import randomise
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError, UnsupportedModelError

TOWERS = {"vision_config": {**SIZE}, "text_config": TEXT}
LABELS = {"id2label": {i: f"kind {i}" for i in range(7)}}


def images() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


def build(model: str, config: str, **options: Any) -> nn.Module:
    if not hasattr(hf, model):
        pytest.skip(f"transformers {hf.__version__} has no {model}")
    built = getattr(hf, model)(getattr(hf, config)(**options))
    randomise(built)
    return built.double().eval()


# Model, configuration, its options, and: prefix tokens, readout, rows, number of classes.
KINDS: dict[str, tuple[str, str, dict[str, Any], tuple[Any, ...]]] = {
    "averaging CLIP": ("CLIPForImageClassification", "CLIPConfig", {**TOWERS, **LABELS},
                       (("class",), "mean", None, 7)),
    "averaging SigLIP": ("SiglipForImageClassification", "SiglipConfig", {**TOWERS, **LABELS},
                         ((), "mean", None, 7)),
    "headless SigLIP": ("SiglipVisionModel", "SiglipVisionConfig",
                        {**SIZE, "vision_use_head": False}, ((), "mean", None, 0)),
    "I-JEPA": ("IJepaModel", "IJepaConfig", SIZE, ((), "mean", None, 0)),
    "AIMv2": ("Aimv2VisionModel", "Aimv2VisionConfig", SIZE, ((), "attention_pool", None, 0)),
    "MSN": ("ViTMSNForImageClassification", "ViTMSNConfig", {**SIZE, **LABELS},
            (("class",), "class", (0,), 7)),
    "data2vec": ("Data2VecVisionForImageClassification", "Data2VecVisionConfig",
                 {**SIZE, **LABELS}, (("class",), "mean", None, 7)),
    "teacher": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", {**SIZE, **LABELS},
                (("class", "distilled"), "class", (0, 1), 7)),
    "backbone": ("Dinov2Backbone", "Dinov2Config", SIZE, (("class",), "class", (0,), 0)),
    "masked images": ("ViTForMaskedImageModeling", "ViTConfig",
                      {**SIZE, "encoder_stride": 8}, (("class",), "class", (0,), 0)),
    "tower of LLaVA": ("LlavaForConditionalGeneration", "LlavaConfig",
                       {"vision_config": {**SIZE, "model_type": "clip_vision_model"},
                        "text_config": {**TEXT, "model_type": "llama"}},
                       (("class",), "class", (0,), 0)),
    "no dictionaries": ("ViTModel", "ViTConfig", {**SIZE, "return_dict": False},
                        (("class",), "class", (0,), 0)),
    "OWL-ViT": ("OwlViTModel", "OwlViTConfig", TOWERS, (("class",), "class", (0,), 0)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_readout_is_measured(kind: str) -> None:
    model, config, options, expected = KINDS[kind]
    vit = vaw.describe(build(model, config, **options))
    trace = vaw.trace(vit, images(), None if vit.num_classes else _first)
    tokens = trace.tokens
    assert (tokens.prefix, vit.readout_kind, vit.readout_rows, vit.num_classes) == expected
    with torch.no_grad():  # a literal reading: the model's own code on the tokens of its last block
        torch.testing.assert_close(vit.readout(trace.layers[-1].output), trace.logits)
    # LeGrad's and DAAM's query: the rows that the logits depend on.
    last = trace.layers[-1].output.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(vit.readout(last).sum(), last)
    read = set((gradient != 0).any(-1).any(0).nonzero().flatten().tolist())
    patches = set(range(tokens.num_prefix, tokens.num_tokens))
    assert read == set(vit.readout_rows) if vit.readout_rows else read >= patches
    for name, method in vaw.explainers.METHODS.items():
        assert method(trace).values.isfinite().all(), name


def _first(features: Tensor) -> Tensor:
    return features[:, 0]


def test_names_say_which_part_was_described() -> None:
    model, config, options, _ = KINDS["tower of LLaVA"]
    vit = vaw.describe(build(model, config, **options))
    assert vit.name.startswith("CLIPVisionModel (")
    assert vit.name.endswith("of LlavaForConditionalGeneration)")
    model, config, options, _ = KINDS["masked images"]
    assert "of ViTForMaskedImageModeling" in vaw.describe(build(model, config, **options)).name


def test_class_names_are_those_given() -> None:
    vit = vaw.describe(build("ViTMSNForImageClassification", "ViTMSNConfig", **SIZE, **LABELS))
    assert vit.class_names == [f"kind {i}" for i in range(7)]
    unnamed = build("ViTMSNForImageClassification", "ViTMSNConfig", **SIZE, num_labels=4)
    assert vaw.describe(unnamed).class_names is None


def test_a_classifier_that_was_replaced_is_measured() -> None:
    model: Any = build("ViTForImageClassification", "ViTConfig", **SIZE, num_labels=10)
    assert vaw.describe(model).num_classes == 10
    model.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(16, 3)).double().eval()
    trace = vaw.trace(model, images(), 2)
    assert trace.model.num_classes == 3
    assert trace.logits.shape == (3, 3)


def _ids(texts: list[str], **_: Any) -> dict[str, Tensor]:
    rows = [[ord(c) % 90 + 3 for c in text[-7:].ljust(7)] + [98] for text in texts]
    return {"input_ids": torch.tensor(rows)}


@pytest.mark.parametrize(
    ("model", "config", "options"),
    [
        ("ChineseCLIPModel", "ChineseCLIPConfig", {"projection_dim": 24}),
        ("AltCLIPModel", "AltCLIPConfig", {"projection_dim": 24}),
        ("MetaClip2Model", "MetaClip2Config", {"projection_dim": 24}),
        ("OwlViTModel", "OwlViTConfig", {"projection_dim": 24}),
        ("BlipModel", "BlipConfig", {"projection_dim": 24}),
        ("Aimv2Model", "Aimv2Config", {"projection_dim": 24}),
        ("Tipsv2Model", "Tipsv2Config", {}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_prompts_are_scored_as_the_model_does(
    model: str, config: str, options: dict[str, Any]
) -> None:
    text = {**TEXT, "eos_token_id": 98, "projection_dim": 24}
    two: Any = build(model, config, vision_config=SIZE, text_config=text, **options)
    prompts = ["a photo of a cat", "a drawing"]
    try:
        with torch.no_grad():
            theirs = two(pixel_values=images(), **_ids(prompts)).logits_per_image
    except (RuntimeError, TypeError) as error:  # in float64, or without a pooler
        pytest.skip(f"the model of transformers {hf.__version__} fails by itself: {error}")
    try:
        vit = vaw.zero_shot(two, prompts, tokenizer=_ids)
    except TargetError as error:
        pytest.skip(str(error))
    trace = vaw.trace(vit, images(), 1)
    torch.testing.assert_close(trace.logits, theirs)
    with torch.no_grad():
        torch.testing.assert_close(vit.readout(trace.layers[-1].output), theirs)


# --- refused, with the object to give instead ---------------------------------------------------


def _vit() -> nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=1, embed_dim=24, num_heads=2
    ).eval()


class _Holder:
    """As EMA classes that are no modules keep their model."""

    def __init__(self) -> None:
        self.ema_model = _vit()


class _Training(nn.Module):
    """As Lightning's modules hold a model, without a forward of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _vit()
        self.loss = nn.CrossEntropyLoss()


class _TwoInputs(nn.Module):
    """Wants more than images."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _vit()

    def forward(self, images: Tensor, ages: Tensor) -> Tensor:
        return self.net(images) + ages


def _offloaded() -> nn.Module:
    return _vit().to("meta")


def _offloaded_by_accelerate() -> nn.Module:
    model = _offloaded()
    model._hf_hook = object()
    return model


class DTensor(nn.Parameter):
    """Named as the parameters that FSDP2 shards are."""


def _sharded() -> nn.Module:
    model = _vit()
    model.cls_token = DTensor(model.cls_token.data)
    return model


def _exported() -> Any:
    return torch.export.export(_vit(), (torch.randn(1, 3, 32, 32),))


def _traced() -> Any:
    return torch.jit.trace(_vit(), torch.randn(1, 3, 32, 32))


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "TorchScript": (_traced, UnsupportedModelError, "TorchScript"),
    "exported": (_exported, ParameterError, "ExportedProgram"),
    "exported module": (lambda: _exported().module(), UnsupportedModelError, "made from"),
    "meta": (_offloaded, UnsupportedModelError, "'meta'"),
    "offloaded": (_offloaded_by_accelerate, UnsupportedModelError, "offloaded by accelerate"),
    "sharded": (_sharded, UnsupportedModelError, r"model\.unshard\(\)"),
    "EMA holder": (_Holder, ParameterError, r"`\.ema_model`"),
    "more than images": (_TwoInputs, UnsupportedModelError, "Its `net`, a VisionTransformer"),
    "text beside the picture": (
        lambda: build("ViltModel", "ViltConfig", **SIZE, vocab_size=9),
        UnsupportedModelError,
        "images alone",
    ),
    "video": (
        lambda: build("VideoMAEModel", "VideoMAEConfig", **SIZE, num_frames=4),
        UnsupportedModelError,
        "time, row and column",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_looked_at_says_what_to_give(kind: str) -> None:
    create, error, words = REFUSED[kind]
    model = create()
    with pytest.raises(error, match=words):
        vaw.describe(model)


def test_a_module_without_a_forward_of_its_own_holds_the_model() -> None:
    model = _Training().eval()
    vit = vaw.describe(model)
    assert (vit.library, vit.model) == ("timm", model.net)
    assert vit.name == "vit_tiny_patch16_224 (net of _Training)"


@pytest.mark.parametrize("holder", ["ModelEmaV2", "ModelEmaV3"])
def test_timms_holders_of_averaged_weights(holder: str) -> None:
    model = getattr(timm.utils, holder)(_vit())
    vit = vaw.describe(model)
    assert (vit.library, vit.model) == ("timm", model.module)
    assert vit.name == f"vit_tiny_patch16_224 (without {holder})"


class _Adapted(nn.Module):
    """As PEFT wraps a model: its own forward takes what it likes."""

    __module__ = "peft.peft_model"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.base_model = model

    def get_base_model(self) -> nn.Module:
        return self.base_model


def test_adapters_stay_in() -> None:
    model: Any = build("ViTForImageClassification", "ViTConfig", **SIZE, num_labels=3)
    plain = vaw.trace(model, images(), 1)
    layer = model.vit.get_submodule(
        "layers.0" if hasattr(model.vit, "layers") else "encoder.layer.0"
    )
    layer.register_forward_hook(lambda *call: call[2] * 1.1)
    trace = vaw.trace(_Adapted(model), images(), 1)
    with torch.no_grad():
        assert torch.equal(trace.logits, model(pixel_values=images()).logits)
    assert not torch.allclose(trace.logits, plain.logits)


def test_averaged_models_are_described_by_the_model_below() -> None:
    vit = vaw.describe(torch.optim.swa_utils.AveragedModel(_vit()))
    assert vit.library == "timm"
    assert "without AveragedModel" in vit.name


# --- open_clip's towers -------------------------------------------------------------------------


def _open_clip(kind: str) -> Any:
    import open_clip
    from open_clip.coca_model import CoCa
    from open_clip.model import CustomTextCLIP

    torch.manual_seed(0)
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "patch_size": 8, "width": 16, "layers": 3, "head_width": 8}
    pooled = {**vision, "attentional_pool": True, "attn_pooler_heads": 2}
    if kind == "CoCa":
        return CoCa(
            16,
            {**text, "mlp_ratio": 2},
            {**text, "embed_cls": True, "output_tokens": True},
            {**pooled, "output_tokens": True},
        ).eval()
    if kind == "attentional pool":
        return open_clip.CLIP(8, pooled, text).eval()
    if kind == "average":
        return open_clip.CLIP(8, {**vision, "pool_type": "avg"}, text).eval()
    projections = {"BiomedCLIP": "linear", "mlp": "mlp", "EVA": None}
    timm_tower = {
        "timm_model_name": "eva02_tiny_patch14_224" if kind == "EVA" else "vit_tiny_patch16_224",
        "timm_pool": "token",
        "timm_proj": projections[kind],
        "image_size": 224,
    }
    return CustomTextCLIP(16, timm_tower, text).eval()


@pytest.mark.parametrize(
    ("kind", "readout"),
    [
        ("CoCa", "attention_pool"),
        ("attentional pool", "attention_pool"),
        ("average", "mean"),
        pytest.param("BiomedCLIP", "class", marks=pytest.mark.slow),
        pytest.param("mlp", "class", marks=pytest.mark.slow),
        pytest.param("EVA", "class", marks=pytest.mark.slow),
    ],
)
def test_prompts_are_scored_as_open_clip_does(kind: str, readout: str) -> None:
    import open_clip

    model, prompts = _open_clip(kind), ["a cat", "a dog"]
    inputs = (
        images().float() if model.visual.image_size == (32, 32) else torch.randn(2, 3, 224, 224)
    )
    with torch.no_grad():
        features = model.encode_image(inputs, normalize=True)
        texts = model.encode_text(open_clip.tokenize(prompts, 16), normalize=True)
        theirs = model.logit_scale.exp() * features @ texts.T
    vit = vaw.zero_shot(model, prompts)
    assert vit.readout_kind == readout
    trace = vaw.trace(vit, inputs, 1)
    torch.testing.assert_close(trace.logits, theirs, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        logits = vit.readout(trace.layers[-1].output)
    torch.testing.assert_close(logits, theirs, rtol=1e-4, atol=1e-4)
    if readout == "attention_pool":  # by hand: the first query's attention, mean over the heads
        _pool_by_hand(model.visual, trace)


def _pool_by_hand(tower: Any, trace: vaw.Trace) -> None:
    pooler = tower.attn_pool
    keys = pooler.ln_k(trace.layers[-1].output)
    query = pooler.ln_q(pooler.query)[None].expand(len(keys), -1, -1)
    with torch.no_grad():
        _, weights = pooler.attn(query, keys, keys, need_weights=True)
    torch.testing.assert_close(trace.readout.weights(), weights[:, 0], rtol=1e-4, atol=1e-6)


# --- measured once, and again when something changes ---------------------------------------------


def test_what_was_measured_is_forgotten_when_the_model_reads_otherwise() -> None:
    model = _open_clip("average")
    assert vaw.describe(model).readout_kind == "mean"
    model.visual.pool_type = "tok"
    assert vaw.describe(model).readout_kind == "class"
    hf_model: Any = build("ViTForImageClassification", "ViTConfig", **SIZE, num_labels=3)
    assert vaw.describe(hf_model).num_classes == 3
    hf_model.classifier = nn.Linear(16, 4).double()
    assert vaw.describe(hf_model).num_classes == 4
    hf_model.classifier.register_forward_hook(lambda *call: call[2][:, :2])
    assert vaw.describe(hf_model).num_classes == 2


def test_it_is_not_measured_twice_and_holds_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    from vit_attention_widget.models import attempt

    model = build("ViTForImageClassification", "ViTConfig", **SIZE, num_labels=3)
    trace = vaw.trace(model, images(), 1)
    monkeypatch.setattr(attempt, "measure_readout", lambda *_: pytest.fail("measured again"))
    vit = vaw.describe(model)
    with torch.no_grad():
        torch.testing.assert_close(vit.readout(trace.layers[-1].output), trace.logits)
    alive = weakref.ref(model)
    del model, trace, vit
    gc.collect()
    assert alive() is None


def test_hooks_that_compute_run_where_a_readout_is_measured() -> None:
    """Pruned or normalized weights are put in place by hooks, around the blocks, too."""
    model = hf.ViTForImageClassification(hf.ViTConfig(**SIZE, num_labels=7)).double().eval()
    expected = vaw.trace(model, images(), 2)
    mask = torch.ones(7, SIZE["hidden_size"], dtype=torch.float64)
    mask[:, ::2] = 0
    torch.nn.utils.prune.custom_from_mask(model.classifier, "weight", mask)
    with torch.no_grad():
        model.classifier.weight_orig[:, ::2] = 5  # hidden by the mask
        model.classifier.weight.fill_(torch.nan)  # made anew by the hook
    trace = vaw.trace(model, images(), 2)
    assert trace.logits.isfinite().all()
    torch.testing.assert_close(trace.logits, model(images()).logits.detach())
    assert not torch.equal(trace.logits, expected.logits)
    trace.readout.check()
