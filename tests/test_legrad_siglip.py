"""LeGrad on SigLIP: the pool's own attention, and the authors' correction by an empty prompt."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
import transformers as hf
from libraries import SIZE, TEXT, TINY
from models import randomise
from snapshots import untouched
from torch import Tensor, nn
from torch.nn.functional import normalize

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.models import with_prompts

PROMPTS = ["a photo of a cat", "a photo of a dog", "a drawing"]


def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 3, 32, 32, generator=generator, dtype=torch.float64)


def ids(texts: list[str], **_: Any) -> dict[str, Tensor]:
    """A tokenizer: letters for tokens, 12 of them from the end."""
    return {
        "input_ids": torch.tensor([[ord(c) % 90 + 3 for c in t[-12:].ljust(12)] for t in texts])
    }


def siglip(with_norm: bool = True) -> Any:
    model = hf.SiglipModel(hf.SiglipConfig(text_config=TEXT, vision_config=SIZE))
    randomise(model)
    if not with_norm:
        model.vision_model.post_layernorm = nn.Identity()
    return model.double().eval()


def pooled(head: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """SigLIP's pool by hand: what it makes of tokens [B, N, D], and its attention [B, H, 1, N]."""
    pool = head.attention
    batch, _, dim = tokens.shape
    heads = pool.num_heads

    def split(x: Tensor) -> Tensor:
        return x.reshape(batch, -1, heads, dim // heads).transpose(1, 2)

    weights, biases = pool.in_proj_weight.chunk(3), pool.in_proj_bias.chunk(3)
    probe = head.probe.expand(batch, -1, -1)
    q, k, v = (
        split(x @ w.T + b) for x, w, b in zip((probe, tokens, tokens), weights, biases, strict=True)
    )
    attention = (q @ k.transpose(-2, -1) * (dim // heads) ** -0.5).softmax(-1)
    out = pool.out_proj((attention @ v).transpose(1, 2).reshape(batch, 1, dim))
    return (out + head.mlp(head.layernorm(out)))[:, 0], attention


def literal(model: Any, layers: list[Tensor], prompt: int, threshold: float | None) -> Tensor:
    """`compute_legrad_siglip` as the authors wrote it; after each layer, [B, L, patches].

    They leave out the norm between the layers and the pool, which here is the model's own.
    """
    tower = model.vision_model
    with torch.no_grad():
        texts = [
            normalize(getattr(features, "pooler_output", features), dim=-1)
            for features in (
                model.get_text_features(**ids([PROMPTS[prompt]])),
                model.get_text_features(**ids(["a photo of a"])),
            )
        ]
    total: list[Any] = [0, 0]
    maps = []
    for z in layers:
        features, attention = pooled(tower.head, tower.post_layernorm(z.detach()))
        for which, text in enumerate(texts):
            similarity = (text @ normalize(features, dim=-1).T).sum()
            (gradient,) = torch.autograd.grad(similarity, attention, retain_graph=True)
            total[which] = total[which] + gradient.clamp_min(0).mean(1)[:, 0]
        corrected = total[0].clone()
        if threshold is not None:
            for image, empty in enumerate(total[1]):
                scaled = (empty - empty.min()) / (empty.max() - empty.min())
                corrected[image, scaled > threshold] = 0
        maps.append(corrected)
    return torch.stack(maps, 1)


def relative(maps: Tensor) -> Tensor:
    """Without the temperature, which the authors leave out: the last map's largest value is 1."""
    return maps / maps[:, -1].flatten(1).amax(1)[(...,) + (None,) * (maps.ndim - 1)]


@pytest.mark.parametrize("with_norm", [True, False])
def test_it_is_the_authors_code(with_norm: bool) -> None:
    model = siglip(with_norm)
    trace = vaw.trace(vaw.zero_shot(model, PROMPTS, tokenizer=ids), images(), 1)
    layers = [record.output for record in trace.layers]
    plain = explainers.legrad(trace, correction=False).values
    expected = literal(model, layers, 1, None).unflatten(-1, (4, 4))
    torch.testing.assert_close(relative(plain), relative(expected), rtol=1e-9, atol=1e-12)
    with untouched(model):
        corrected = explainers.legrad(trace).values
    expected = literal(model, layers, 1, 0.8).unflatten(-1, (4, 4))
    torch.testing.assert_close(relative(corrected), relative(expected), rtol=1e-9, atol=1e-12)
    assert torch.equal(explainers.legrad(trace, correction=True).values, corrected)
    assert ((corrected == 0) & (plain > 0)).any()
    assert torch.equal(corrected[corrected > 0], plain[corrected > 0])


def test_open_clip_with_a_tower_of_timm() -> None:
    """Corrected is where the empty prompt's own map, traced as a prompt, is not above 0.8."""
    vision = {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"}
    text = {"context_length": 12, "vocab_size": 99, "width": 16, "heads": 2, "layers": 2}
    model = open_clip.CustomTextCLIP(96, {**vision, "image_size": 160}, text)
    randomise(model)
    model = model.double().eval()
    inputs = torch.randn(2, 3, 160, 160, dtype=torch.float64)

    def tokenizer(texts: list[str]) -> Tensor:  # of open_clip's kind
        return ids(texts)["input_ids"]

    vit = vaw.zero_shot(model, PROMPTS, tokenizer=tokenizer)
    trace = vaw.trace(vit, inputs, 1)
    plain = explainers.legrad(trace, correction=False).values
    corrected = explainers.legrad(trace).values
    other = vaw.trace(vaw.zero_shot(model, "a photo of a", tokenizer=tokenizer), inputs)
    empty = explainers.legrad(other, correction=False).values
    low, high = (end(empty, (2, 3), keepdim=True) for end in (torch.amin, torch.amax))
    stands_out = (empty - low) / (high - low) > 0.8
    assert stands_out.any()
    torch.testing.assert_close(corrected, plain.masked_fill(stands_out, 0))


def test_it_starts_where_it_is_told() -> None:
    model = siglip()
    trace = vaw.trace(vaw.zero_shot(model, PROMPTS, tokenizer=ids), images(), 2)
    values = explainers.legrad(trace, start=1).values
    expected = literal(model, [record.output for record in trace.layers[1:]], 2, 0.8)
    assert (values[:, 0] == 0).all()
    expected = relative(expected.unflatten(-1, (4, 4)))
    torch.testing.assert_close(relative(values)[:, 1:], expected, rtol=1e-9, atol=1e-12)


def test_it_is_for_prompts_on_a_pool_only() -> None:
    model = siglip()
    features = torch.randn(3, 16, dtype=torch.float64)
    towers = [tiny for tiny in TINY if tiny.name in ("hf-siglip-vision", "hf-clip-vision")]
    for tower in [tiny.build() for tiny in towers]:
        trace = vaw.trace(vaw.zero_shot(tower, PROMPTS, features=features), images(), 1)
        plain = explainers.legrad(trace, correction=False).values
        assert torch.equal(explainers.legrad(trace).values, plain)  # no text can be read
        with pytest.raises(ParameterError, match="needs prompts"):
            explainers.legrad(trace, correction=True)
    trace = vaw.trace(vaw.zero_shot(model, PROMPTS, tokenizer=ids), images(), 1)
    with pytest.raises(ParameterError, match="readout="):
        explainers.legrad(trace, readout="mean", correction=True)
    plain = explainers.legrad(trace, readout="mean", correction=False).values
    assert torch.equal(explainers.legrad(trace, readout="mean").values, plain)


def test_texts_are_padded_as_siglip_was_trained() -> None:
    """SigLIP reads its last token, which is padding."""
    asked: list[dict[str, Any]] = []

    def tokenizer(texts: list[str], **options: Any) -> dict[str, Tensor]:
        asked.append(options)
        return ids(texts)

    vaw.zero_shot(siglip(), PROMPTS, tokenizer=tokenizer)
    assert asked[0]["padding"] == "max_length"
    assert asked[0]["max_length"] == 64


def test_the_mode_of_the_text_tower_does_not_matter() -> None:
    """In training mode it drops at random; under inference mode it would leave no gradients."""
    model = siglip().float()
    model.text_model.config.attention_dropout = 0.5
    for module in model.text_model.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.5
    plain = vaw.trace(vaw.zero_shot(model, PROMPTS, tokenizer=ids), images(), 1)
    expected = explainers.legrad(plain).values
    model.train()
    with untouched(model), torch.inference_mode():
        vit = vaw.zero_shot(model, PROMPTS, tokenizer=ids)
    with untouched(model):
        trace = vaw.trace(vit, images(), 1)
        assert torch.equal(explainers.legrad(trace).values, expected)
        assert torch.equal(explainers.daam(trace).values, explainers.daam(plain).values)


def test_a_sigmoid_for_each_prompt_as_siglip_was_trained() -> None:
    model = siglip()
    with torch.no_grad():
        model.logit_bias.fill_(-1.5)
        model.logit_scale.fill_(1.0)
        expected = model(pixel_values=images(), **ids(PROMPTS)).logits_per_image
    vit = vaw.zero_shot(model, PROMPTS, tokenizer=ids)
    trace = vaw.trace(vit, images(), output="sigmoid")
    torch.testing.assert_close(trace.logits, expected)
    torch.testing.assert_close(trace.probabilities, expected.sigmoid())
    torch.testing.assert_close(vaw.trace(vit, images()).probabilities, expected.softmax(-1))
    said = vaw.describe(vit, output="sigmoid")
    fewer = with_prompts(said, PROMPTS[:1])
    one = vaw.trace(fewer, images())
    assert one.model.class_names == [f"not {PROMPTS[0]}", PROMPTS[0]]
    torch.testing.assert_close(one.probabilities[:, 1], expected.sigmoid()[:, 0])
    assert with_prompts(fewer, PROMPTS).class_names == PROMPTS
    towers = {tiny.name: tiny for tiny in TINY}
    clip = vaw.zero_shot(towers["hf-clip"].build(), PROMPTS, features=torch.randn(3, 16))
    with pytest.raises(ParameterError, match=r"no bias for a sigmoid.*softmax"):
        vaw.trace(clip, images(), output="sigmoid")
