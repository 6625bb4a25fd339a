"""The published rules, written literally: attention matrices kept, one question a pass.

This is how the methods' own code goes about it, where that cannot be installed. timm's explicit
attention is switched on, every layer's matrix is kept with its gradient, and a rule is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import timm
import torch
from timm.layers import set_fused_attn
from torch import Tensor, nn

__all__ = ["RULES", "explicit_copy", "kept"]


def explicit_copy(model: nn.Module, name: str, **options: object) -> nn.Module:
    """The same weights with attention written out, as hooks on it need."""
    set_fused_attn(False)
    try:
        copy = timm.create_model(name, **options).eval()
    finally:
        set_fused_attn(True)
    copy.load_state_dict(model.state_dict())
    like = next(model.parameters())
    return copy.to(like.device, like.dtype)


@contextmanager
def kept(model: nn.Module) -> Iterator[list[Tensor]]:
    """Attention [batch, head, query, key] of every layer of the passes run inside."""
    attentions: list[Tensor] = []

    def keep(module: nn.Module, args: object, attention: Tensor) -> None:
        if attention.requires_grad:
            attention.retain_grad()
        attentions.append(attention)

    handles = [block.attn.attn_drop.register_forward_hook(keep) for block in model.blocks]
    try:
        yield attentions
    finally:
        for handle in handles:
            handle.remove()


def _differentiated(model: nn.Module, images: Tensor, label: int) -> list[Tensor]:
    with kept(model) as attention:
        logits = model(images)
    model.zero_grad()
    logits[:, label].sum().backward()
    return attention


def _product(matrices: list[Tensor]) -> Tensor:
    total = _eye(matrices[0]).expand_as(matrices[0])
    for matrix in matrices:
        total = matrix @ total
    return total[:, 0, 1:]


def _eye(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], device=like.device, dtype=like.dtype)


def _nothing(attention: list[Tensor]) -> Tensor:
    """A map of zeros, [batch, patch]."""
    return torch.zeros_like(attention[0][:, 0, 0, 1:])


def rollout(model: nn.Module, images: Tensor, label: int) -> Tensor:
    """Abnar and Zuidema: mean over heads, half identity, rows sum to 1, multiplied through."""
    with torch.no_grad(), kept(model) as attention:
        model(images)
    return _product([(a.mean(1) + _eye(a)) / 2 for a in attention])


def vit_explain(model: nn.Module, images: Tensor, label: int) -> Tensor:
    """vit-explain's rollout of one image: the largest head, its smallest nine tenths dropped."""
    with torch.no_grad(), kept(model) as attention:
        model(images)
    steps = []
    for a in attention:
        fused = a.max(1).values
        flat = fused.view(len(fused), -1)
        dropped = flat.topk(int(flat.shape[-1] * 0.9), -1, largest=False).indices
        flat[0, dropped[dropped != 0]] = 0
        mixed = (fused + _eye(fused)) / 2
        steps.append(mixed / mixed.sum(-1))
    return _product(steps)


def gmar(model: nn.Module, images: Tensor, label: int) -> Tensor:
    """Jo et al., L1: heads weighted by the size of their gradient."""
    attention = _differentiated(model, images, label)
    eye, steps = _eye(attention[0]), []
    for a in attention:
        weight = a.grad.abs().sum((-2, -1))
        weight = weight / weight.sum(1, keepdim=True)
        mixed = (a.detach() * weight[..., None, None]).sum(1) + eye
        steps.append(mixed / mixed.sum(-1, keepdim=True))
    return _product(steps)


def relevance(model: nn.Module, images: Tensor, label: int) -> Tensor:
    """Chefer et al.: R <- R + mean relu(A dA) R."""
    attention = _differentiated(model, images, label)
    total = _eye(attention[0]).expand(len(images), -1, -1)
    for a in attention:
        total = total + (a.detach() * a.grad).clamp_min(0).mean(1) @ total
    return total[:, 0, 1:]


def daam(model: nn.Module, images: Tensor, label: int) -> Tensor:
    """Liao et al.: what each patch gave the class token, by its positive gradient, summed up."""
    values: list[Tensor] = []

    def keep(module: nn.Module, args: object, qkv: Tensor) -> None:
        heads = model.blocks[0].attn.num_heads
        values.append(qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)[2])

    outputs: list[Tensor] = []

    def keep_output(module: nn.Module, args: tuple[Tensor]) -> None:
        args[0].retain_grad()
        outputs.append(args[0])

    handles = [block.attn.qkv.register_forward_hook(keep) for block in model.blocks]
    handles += [b.attn.proj.register_forward_pre_hook(keep_output) for b in model.blocks]
    with kept(model) as attention:
        logits = model(images)
    for handle in handles:
        handle.remove()
    model.zero_grad()
    logits[:, label].sum().backward()
    total = _nothing(attention)
    for a, v, out in zip(attention, values, outputs, strict=True):
        gradient = out.grad[:, 0].clamp_min(0).unflatten(-1, (a.shape[1], -1))
        given = a.detach()[:, :, 0, 1:, None] * v.detach()[:, :, 1:]
        total = total + (given * gradient[:, :, None]).sum((1, 3)).clamp_min(0)
    return total


def legrad(model: nn.Module, images: Tensor, label: int) -> Tensor:
    """Bousselham et al.: relu of the gradient of each layer's own readout by its attention."""
    layers: list[Tensor] = []
    handles = [
        block.register_forward_hook(lambda _m, _a, out: layers.append(out))
        for block in model.blocks
    ]
    with kept(model) as attention:
        model(images)
    for handle in handles:
        handle.remove()
    total = _nothing(attention)
    for tokens, a in zip(layers, attention, strict=True):
        score = model.forward_head(model.norm(tokens))[:, label].sum()
        (gradient,) = torch.autograd.grad(score, a, retain_graph=True)
        total = total + gradient.clamp_min(0).mean((1, 2))[:, 1:]
    return total


RULES: dict[str, Callable[[nn.Module, Tensor, int], Tensor]] = {
    "rollout": rollout,
    "gmar": gmar,
    "daam": daam,
    "legrad": legrad,
    "relevance": relevance,
    "vit-explain": vit_explain,
}
"""Each gives [batch, patch]."""
