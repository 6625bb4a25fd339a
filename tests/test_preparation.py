"""Pictures are prepared as the model was trained, and it is said how that is known."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
import transformers as hf
from libraries import SIZE, TEXT, tiny_clip
from PIL import Image
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import ImageError, ParameterError
from vit_attention_widget.models.images import load_image

WIDE = {**SIZE, "image_size": 224, "patch_size": 56}


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (150, 230, 3), dtype=np.uint8)
    return Image.fromarray(values)


def by_hand(processor: Any, picture: Image.Image, **options: Any) -> Tensor:
    return processor(images=picture, return_tensors="pt", **options)["pixel_values"]


@pytest.mark.parametrize(
    ("model", "config", "processor"),
    [
        ("ViTForImageClassification", "ViTConfig", "ViTImageProcessor"),
        ("BeitModel", "BeitConfig", "BeitImageProcessor"),
        ("CLIPVisionModel", "CLIPVisionConfig", "CLIPImageProcessor"),
        ("SiglipVisionModel", "SiglipVisionConfig", "SiglipImageProcessor"),
        ("Data2VecVisionModel", "Data2VecVisionConfig", "BeitImageProcessor"),
    ],
)
def test_the_familys_processor_is_taken_to_the_bit(
    model: str, config: str, processor: str, picture: Image.Image
) -> None:
    vit = vaw.describe(getattr(hf, model)(getattr(hf, config)(**WIDE)).eval())
    assert torch.equal(vit.prepare(picture), by_hand(getattr(hf, processor)(), picture))
    assert processor in str(vit.preparation)
    assert "its defaults" in str(vit.preparation)
    smaller = vaw.describe(getattr(hf, model)(getattr(hf, config)(**SIZE)).eval())
    assert smaller.prepare(picture).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("model", "config", "processor", "options"),
    [
        ("DeiTModel", "DeiTConfig", "DeiTImageProcessor", {}),
        ("ViTMAEModel", "ViTMAEConfig", "ViTImageProcessor", {}),
        ("ViTMSNModel", "ViTMSNConfig", "ViTImageProcessor", {}),
        ("Dinov2Model", "Dinov2Config", "BitImageProcessor",
         {"size": {"shortest_edge": 256}}),
    ],
)  # fmt: skip
def test_weights_that_were_trained_with_another_mean(
    model: str, config: str, processor: str, options: dict[str, Any], picture: Image.Image
) -> None:
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    wide = {**WIDE, "mask_ratio": 0.0} if "MAE" in model else WIDE
    if model == "Dinov2Model":
        wide = {**SIZE, "image_size": 518, "patch_size": 14}
    vit = vaw.describe(getattr(hf, model)(getattr(hf, config)(**wide)).eval())
    expected = by_hand(getattr(hf, processor)(), picture, image_mean=mean, image_std=std, **options)
    assert torch.equal(vit.prepare(picture), expected)
    assert [list(part) for part in vit.normalization] == [mean, std]
    assert "weights" in vit.preparation.ground


def test_the_processor_beside_local_weights_is_taken(tmp_path: Path, picture: Image.Image) -> None:
    hf.ViTForImageClassification(hf.ViTConfig(**WIDE)).save_pretrained(tmp_path)
    processor = hf.ViTImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.9, 0.8, 0.7])
    processor.save_pretrained(tmp_path)
    model = hf.ViTForImageClassification.from_pretrained(tmp_path).eval()
    trace = vaw.trace(model, picture)
    assert torch.equal(trace.inputs, by_hand(processor, picture))
    assert trace.preparation == (
        f"ViTImageProcessor (the processor of {str(tmp_path)!r}, found here)"
    )
    assert trace.preparation in repr(trace)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, picture: Image.Image) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    model: Any = hf.ViTModel(hf.ViTConfig(**WIDE)).eval()
    model.config._name_or_path = "facebook/dino-vits16"
    vit = vaw.describe(model)
    assert vit.normalization[0] == (0.485, 0.456, 0.406)
    assert "no preprocessor_config.json" in vit.preparation.ground
    assert vit.prepare(picture).shape == (1, 3, 224, 224)


def test_torchvision_and_open_clip_by_their_own_code(picture: Image.Image) -> None:
    model = torchvision.models.VisionTransformer(224, 56, 1, 2, 16, 32)
    preset = torchvision.models.ViT_B_16_Weights.IMAGENET1K_V1.transforms()
    assert torch.equal(vaw.describe(model).prepare(picture)[0], preset(picture))
    clip = tiny_clip()
    transform = open_clip.image_transform(32, is_train=False)
    assert torch.equal(vaw.describe(clip).prepare(picture)[0], transform(picture))


def _gray(picture: Image.Image) -> Tensor:
    return torch.full((3, 32, 32), float(np.asarray(picture).mean()))


def test_the_user_may_say_how(picture: Image.Image) -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=1).eval()
    trace = vaw.trace(model, picture, transform=_gray)
    assert torch.equal(trace.inputs[0], _gray(picture))
    assert trace.preparation == "_gray (transform=)"
    compose = torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize((32, 32)),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.2, 0.3, 0.4], [0.5, 0.6, 0.7]),
        ]
    )
    vit = vaw.describe(model, transform=compose)
    assert torch.equal(vit.prepare(picture)[0], compose(picture))
    assert vit.normalization == ([0.2, 0.3, 0.4], [0.5, 0.6, 0.7])
    processor = hf.ViTImageProcessor(size={"height": 32, "width": 32})
    for said in (vaw.trace(model, picture, processor=processor), vaw.trace(vit, picture)):
        assert said.inputs.shape == (1, 3, 32, 32)
    assert torch.equal(
        vaw.describe(model, processor=processor).prepare(picture), by_hand(processor, picture)
    )
    session = vaw.Session(vit, picture)
    try:
        assert session.wait(60)
        assert session._model_info["preparation"] == "Compose (transform=)"
    finally:
        session.close()


def test_prompts_keep_what_was_said(picture: Image.Image) -> None:
    vit = vaw.describe(tiny_clip(), transform=_gray)
    prompts = vaw.zero_shot(vit, ["a cat", "a dog"])
    assert torch.equal(prompts.prepare(picture)[0], _gray(picture))
    other = vaw.describe(vaw.zero_shot(tiny_clip(), ["a cat", "a dog"]), transform=_gray)
    assert torch.equal(other.prepare(picture)[0], _gray(picture))


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"processor": 3}, ParameterError, "image processor"),
        ({"transform": 3}, ParameterError, "function of a picture"),
        ({"transform": _gray, "processor": 3}, ParameterError, "not both"),
        ({"transform": lambda picture: picture}, ImageError, "returned Image"),
        ({"transform": lambda picture: torch.zeros(2, 3, 8, 8)}, ImageError, "2 inputs"),
    ],
)
def test_what_is_said_must_fit(
    said: dict[str, Any], error: type[Exception], words: str, picture: Image.Image
) -> None:
    with pytest.raises(error, match=words):
        vaw.trace(vaw.demo.load_model(), picture, **said)


def test_what_a_processor_returned_is_model_input(picture: Image.Image) -> None:
    model = hf.ViTForImageClassification(hf.ViTConfig(**SIZE)).eval()
    processor = hf.ViTImageProcessor(size={"height": 32, "width": 32})
    tensors = processor(images=[picture, picture], return_tensors="pt")
    arrays = processor(images=[picture, picture], return_tensors="np")
    for processed in (tensors, dict(tensors), arrays):
        trace = vaw.trace(model, processed)
        assert torch.equal(trace.inputs, tensors["pixel_values"])
        assert trace.preparation == "taken as model input, as they were given"
    importance = vaw.head_importance(model, tensors)
    assert importance.values.shape[-2:] == (3, 2)
    with pytest.raises(ImageError, match="no 'pixel_values'"):
        vaw.trace(model, {"input_ids": torch.zeros(1, 2)})


def test_a_tensor_that_was_not_normalized_is_warned_of() -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=1).eval()
    unnormalized = torch.rand(1, 3, 32, 32)
    with pytest.warns(UserWarning, match=r"lie in 0\.\.1.*0\.5, 0\.5, 0\.5") as caught:
        vaw.trace(model, unnormalized)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vaw.trace(model, torch.zeros(1, 3, 32, 32))
        vaw.trace(model, torch.randn(1, 3, 32, 32))
        plain = vaw.adapt(
            model, "blocks", lambda t: model.forward_head(model.norm(t)), patch_size=8,
            image_size=32,
        )  # fmt: skip
        vaw.trace(plain, unnormalized)  # nobody said how it was trained


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_values_in_16_bit_files_are_scaled_by_what_they_hold(bits: int, tmp_path: Path) -> None:
    largest = 2**bits - 1
    values = np.array([[0, largest // 2, largest]], np.uint16)
    Image.fromarray(values).save(tmp_path / "image.png")
    pixels = np.asarray(load_image(tmp_path / "image.png"))[0, :, 0]
    assert pixels.tolist() == [0, round(255 * (largest // 2) / largest), 255]


# --- any number of channels ---------------------------------------------------------------------


def _channels(count: int) -> nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, in_chans=count, num_classes=3
    ).eval()


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_any_number_of_channels(count: int) -> None:
    model, inputs = _channels(count), torch.randn(2, count, 32, 32)
    trace = vaw.trace(model, inputs)
    with torch.no_grad():
        assert torch.equal(trace.logits, model(inputs))
    for name, method in vaw.explainers.METHODS.items():
        assert method(trace).values.isfinite().all(), name
    assert all(shown.mode == "RGB" for shown in trace.model.picture(inputs))
    session = vaw.Session(model, inputs[:1])
    try:
        assert session.wait(60)
        assert session.status["error"] is None
    finally:
        session.close()
    with pytest.raises(ImageError, match=rf"\[{count}, height, width\]"):
        vaw.trace(model, torch.randn(1, 3, 32, 32))


def test_gray_models_take_pictures_and_others_say_what_they_take(picture: Image.Image) -> None:
    gray = vaw.describe(_channels(1))
    assert gray.prepare(picture).shape == (1, 1, 32, 32)
    (shown,) = gray.picture(gray.prepare(picture))
    assert (np.asarray(shown)[..., 0] == np.asarray(shown)[..., 2]).all()
    with pytest.raises(ImageError, match="7 channels a pixel"):
        vaw.describe(_channels(7)).prepare(picture)


def test_bands_are_chosen_by_the_user() -> None:
    inputs = torch.stack([torch.full((32, 32), float(i)) for i in range(4)])[None]
    inputs[..., 0, 0] = -1
    vit = vaw.describe(_channels(4), display=(3, 2, 0))
    red = torch.arange(4.0).repeat_interleave(8).expand(32, 32)
    inputs[:, 3] = red
    (shown,) = vit.picture(inputs)
    assert np.asarray(shown)[0, :, 0].tolist() == [round(255 * v / 3) for v in red[0].tolist()]
    with pytest.raises(ParameterError, match="display is"):
        vaw.describe(_channels(4), display=(3, 2, 9)).picture(inputs)


def test_transformers_of_other_channels() -> None:
    model = hf.ViTModel(hf.ViTConfig(**SIZE, num_channels=5)).eval()
    trace = vaw.trace(model, torch.randn(1, 5, 32, 32), lambda features: features[:, 0])
    assert trace.attention(0).shape == (1, 2, 17, 17)


def test_two_towers_are_prepared_for_by_the_whole_models_processor(picture: Image.Image) -> None:
    vision = {**WIDE}
    config = hf.CLIPConfig(text_config=TEXT, vision_config=vision, projection_dim=8)
    vit = vaw.describe(hf.CLIPModel(config).eval())
    assert torch.equal(vit.prepare(picture), by_hand(hf.CLIPImageProcessor(), picture))
