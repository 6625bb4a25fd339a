"""Text prompts as classes, on two-tower models of open_clip and transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import torch
import transformers as hf
from libraries import SIZE, TEXT, TINY, tiny_clip
from models import randomise
from torch import Tensor, nn
from torch.nn.functional import normalize

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import ParameterError, TargetError

PROMPTS = ["a photo of a cat", "a photo of a dog", "a drawing"]


def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def ids(texts: list[str], **_: Any) -> dict[str, Tensor]:
    """A tokenizer of a transformers kind: letters for tokens, the last being the end."""
    rows = [[ord(c) % 90 + 3 for c in text[-7:].ljust(7)] + [98] for text in texts]
    return {"input_ids": torch.tensor(rows)}


def transformers_clip() -> nn.Module:
    config = hf.CLIPConfig(
        text_config={**TEXT, "eos_token_id": 98}, vision_config=SIZE, projection_dim=8
    )
    model = hf.CLIPModel(config)
    randomise(model)
    return model.eval()


def test_logits_are_scaled_cosines() -> None:
    model = tiny_clip()
    vit = vaw.zero_shot(model, PROMPTS)
    with torch.no_grad():
        features = normalize(model.encode_image(images()), dim=-1)
        texts = normalize(model.encode_text(open_clip.tokenize(PROMPTS, 16)), dim=-1)
        expected = model.logit_scale.exp() * features @ texts.T
    trace = vaw.trace(vit, images())
    torch.testing.assert_close(trace.logits, expected, rtol=1e-4, atol=1e-4)
    assert trace.model.class_names == PROMPTS


def test_transformers_with_a_tokenizer() -> None:
    model = transformers_clip()
    with pytest.raises(TargetError, match="tokenizer"):
        vaw.zero_shot(model, PROMPTS)
    vit = vaw.zero_shot(model, PROMPTS, tokenizer=ids)
    with torch.no_grad():
        theirs = model(pixel_values=images(), **ids(PROMPTS)).logits_per_image
    trace = vaw.trace(vit, images())
    torch.testing.assert_close(trace.logits, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", explainers.METHODS)
def test_every_explainer_takes_prompts(method: str) -> None:
    vit = vaw.zero_shot(tiny_clip(), PROMPTS)
    trace = vaw.trace(vit, images(), "a drawing")
    values = explainers.METHODS[method](trace).values
    assert values.shape == (2, 3, 4, 4)
    assert values.isfinite().all()


def test_prompts_differ() -> None:
    vit = vaw.zero_shot(transformers_clip(), PROMPTS, tokenizer=ids)
    trace = vaw.trace(vit, images(), 0)
    one, other = explainers.legrad(trace), explainers.legrad(trace.retarget(1))
    assert not torch.allclose(one.values, other.values)


def test_text_of_a_trace() -> None:
    model = tiny_clip()
    trace = vaw.trace(model, images(), text=PROMPTS)
    assert trace.target.name == PROMPTS[0]
    assert vaw.trace(model, images(), "a drawing", text=PROMPTS).target.index == (2, 2)
    assert vaw.trace(model, images(), text="a cat").logits.shape == (2, 1)


def test_legrad_is_the_published_rule_on_open_clip() -> None:
    """Bousselham et al.: relu of the gradient of cos(readout of the layer, text), class row."""
    model = tiny_clip().double()
    vit = vaw.zero_shot(model, PROMPTS)
    trace = vaw.trace(vit, images().double(), 1)
    with torch.no_grad():
        text = normalize(model.encode_text(open_clip.tokenize(PROMPTS, 16)), dim=-1)[1]
    tower = model.visual
    maps = []
    for layer, record in enumerate(trace.layers):
        block = tower.transformer.resblocks[layer]
        attention = trace.attention(layer).detach().requires_grad_()
        joined = (attention @ record.v.detach()).transpose(1, 2).flatten(2)
        out = record.input.detach() + block.attn.out_proj(joined)
        out = out + block.mlp(block.ln_2(out))
        feature = normalize(tower.ln_post(out)[:, 0] @ tower.proj, dim=-1)
        (gradient,) = torch.autograd.grad((feature @ text).sum(), attention)
        maps.append(gradient.clamp_min(0).mean(1)[:, 0, 1:])
    values = explainers.legrad(trace).values
    expected = torch.stack(maps).cumsum(0)[-1].unflatten(-1, (4, 4))
    final = values[:, -1]
    torch.testing.assert_close(
        final / final.amax((1, 2), keepdim=True),
        expected / expected.amax((1, 2), keepdim=True),
        rtol=1e-6,
        atol=1e-9,
    )


def test_features_made_elsewhere_and_a_session() -> None:
    tower = next(tiny for tiny in TINY if tiny.name == "hf-clip-vision-projected")
    model = tower.build(torch.float32)
    vit = vaw.zero_shot(model, PROMPTS, features=torch.randn(3, 512))
    session = vaw.Session(vit, vaw.demo.scene(seed=1).image)
    assert session.wait(60)
    assert session.status["error"] is None
    assert {name for name, _ in session.top5} == set(PROMPTS)
    session.target = "a drawing"
    assert session.wait(60)
    assert session.decision["target_name"] == "a drawing"
    session.close()


def _moved(model: nn.Module) -> vaw.Trace:
    vit = vaw.zero_shot(model, PROMPTS, tokenizer=ids)
    model.double()
    return vaw.trace(vit, images(), 1)


def _in_autocast(model: nn.Module) -> vaw.Trace:
    with torch.autocast("cpu", torch.bfloat16):
        return vaw.trace(vaw.zero_shot(model, PROMPTS, tokenizer=ids), images(), 1)


def _made_in_inference_mode(model: nn.Module) -> vaw.Trace:
    with torch.inference_mode():
        vit = vaw.zero_shot(model, PROMPTS, tokenizer=ids)
    return vaw.trace(vit, images(), 1)


WAYS: dict[str, Callable[[nn.Module], vaw.Trace]] = {
    "bfloat16": lambda m: vaw.trace(
        vaw.zero_shot(m.bfloat16(), PROMPTS, tokenizer=ids), images(), 1
    ),
    "autocast": _in_autocast,
    "inference mode": _made_in_inference_mode,
    "moved since": _moved,
    "training": lambda m: vaw.trace(vaw.zero_shot(m.train(), PROMPTS, tokenizer=ids), images(), 1),
    "parallel": lambda m: vaw.trace(
        vaw.zero_shot(nn.DataParallel(m), PROMPTS, tokenizer=ids), images(), 1
    ),
    "compiled": lambda m: vaw.trace(
        vaw.zero_shot(torch.compile(m, backend="eager"), PROMPTS, tokenizer=ids), images(), 1
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_way_a_model_is_run_does_not_matter(way: str) -> None:
    plain = vaw.trace(vaw.zero_shot(transformers_clip(), PROMPTS, tokenizer=ids), images(), 1)
    trace = WAYS[way](transformers_clip())
    cosine = 0.98 if way in ("bfloat16", "autocast") else 1 - 1e-5
    for name, method in explainers.METHODS.items():
        values, expected = method(trace).values.float(), method(plain).values
        likeness = torch.cosine_similarity(values.flatten(1), expected.flatten(1))
        assert (likeness > cosine).all(), (name, likeness)


def test_bad_input() -> None:
    model = tiny_clip()
    with pytest.raises(ParameterError, match="no prompts"):
        vaw.zero_shot(model, [])
    with pytest.raises(ParameterError, match="has a classifier"):
        vaw.zero_shot(vaw.demo.load_model(), PROMPTS)
    features = next(tiny for tiny in TINY if tiny.name == "hf-vit-features").build()
    with pytest.raises(TargetError, match="no text tower"):
        vaw.zero_shot(features, PROMPTS)
    with pytest.raises(TargetError, match="3 prompts need"):
        vaw.zero_shot(features, PROMPTS, features=torch.randn(2, 16))
    with pytest.raises(TargetError, match="no class called"):
        vaw.trace(model, images(), "a bird", text=PROMPTS)
