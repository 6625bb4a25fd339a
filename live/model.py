"""The bundled model as two graphs that a browser can run: what it computes, and its gradients.

Both take the pictures and which heads are kept; neither knows a picture's size or a class
beforehand. The graph of gradients is traced from PyTorch's own backward pass, so nothing is derived
by hand.
"""

from __future__ import annotations

import copy
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.export import Dim
from torch.fx.experimental.proxy_tensor import make_fx

from vit_attention_widget.demo import load_model
from vit_attention_widget.demo.model import WEIGHTS

FORWARD = ("logits", "class_tokens", "token_logits", "q", "k", "v", "heads")
"""What the first graph gives: [image, class]; then [image, layer, ...] with the class token after
the layer, [dim]; what every token would decide by the model's norm and head, [token, class]; and
[head, token, dim]."""

GRADIENTS = ("heads_gradient", "own_gradient", "normed", "normed_gradient", "images_gradient")
"""What the second gives, [image, layer, ...]: the target's gradient by the head outputs,
[head, token, dim]; by those of the class token that of the layer's own decision, [head, 1, dim];
what the attention is given, and the target's gradient by that, [token, dim]. The last is the
target's gradient by the picture, [image, channel, row, col]."""


class _Layer(NamedTuple):
    before: Tensor
    normed: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    heads: Tensor
    after: Tensor


class Steps(nn.Module):
    """The bundled model, step by step: timm's own modules, with the attention written out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    def embed(self, images: Tensor) -> Tensor:
        """The tokens before the first layer."""
        model, proj = self.model, self.model.patch_embed.proj
        (height, width), channels = proj.kernel_size, proj.in_channels
        # A convolution by whole patches is a product, whose gradient ONNX knows as well.
        cut = images.unflatten(3, (-1, width)).unflatten(2, (-1, height)).permute(0, 2, 4, 1, 3, 5)
        patches = cut.reshape(-1, cut.shape[1] * cut.shape[2], channels * height * width)
        embedded = patches @ proj.weight.flatten(1).T + proj.bias
        return model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed.norm(embedded))))

    def layer(self, block: nn.Module, x: Tensor, kept: Tensor) -> _Layer:
        """``kept`` [image, head] is 1, or 0 for masked heads."""
        attn = block.attn
        normed = block.norm1(x)
        qkv = attn.qkv(normed).unflatten(-1, (3, attn.num_heads, attn.head_dim))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        heads = (q @ k.transpose(-2, -1) * attn.scale).softmax(-1) @ v
        return _Layer(x, normed, q, k, v, heads, self.finish(block, x, heads, kept))

    def finish(self, block: nn.Module, x: Tensor, heads: Tensor, kept: Tensor) -> Tensor:
        """The rest of a block from its head outputs."""
        masked = heads * kept[:, :, None, None]
        x = x + block.attn.proj(masked.transpose(1, 2).flatten(2))
        return x + block.mlp(block.norm2(x))

    def read(self, tokens: Tensor) -> Tensor:
        """What each token by itself would decide."""
        return self.model.head(self.model.norm(tokens))

    def layers(self, images: Tensor, kept: Tensor) -> list[_Layer]:
        """All layers in turn."""
        x, layers = self.embed(images), []
        for i, block in enumerate(self.model.blocks):
            layers.append(self.layer(block, x, kept[:, i]))
            x = layers[-1].after
        return layers

    def forward(self, images: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
        """As ``FORWARD`` says."""
        layers = self.layers(images, kept)
        after = torch.stack([layer.after for layer in layers], 1)
        token_logits = self.read(after)
        parts = [torch.stack([getattr(each, name) for each in layers], 1) for name in "qkv"]
        heads = torch.stack([layer.heads for layer in layers], 1) * kept[..., None, None]
        return token_logits[:, -1, 0], after[:, :, 0], token_logits, *parts, heads

    def gradients(self, images: Tensor, kept: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """As ``GRADIENTS`` says; ``target`` [image, class] weighs the logits."""
        images = images.requires_grad_()
        layers = self.layers(images, kept)
        score = (self.read(layers[-1].after)[:, 0] * target).sum()
        heads, normed = [each.heads for each in layers], [each.normed for each in layers]
        # One pass for all: each further pass would stand in the graph once more.
        *by_layers, by_images = torch.autograd.grad(score, [*heads, *normed, images])
        by_heads, by_normed = by_layers[: len(layers)], by_layers[len(layers) :]
        # A layer's own decision is read from its class token: that row alone counts.
        free = [each.heads[:, :, :1].detach().requires_grad_() for each in layers]
        own = torch.zeros(())
        for i, block in enumerate(self.model.blocks):
            after = self.finish(block, layers[i].before[:, :1].detach(), free[i], kept[:, i])
            own = own + (self.read(after)[:, 0] * target).sum()
        by_own = torch.autograd.grad(own, free)
        stacked = (by_heads, by_own, [each.detach() for each in normed], by_normed)
        return *(torch.stack(each, 1) for each in stacked), by_images


def graphs() -> Path:
    """A folder with ``forward.onnx`` and ``gradients.onnx``, which are written where they are not.

    That takes some 20 s, so they are kept beside this file until it or the weights change, and
    another process that asks meanwhile waits for them.
    """
    held = Path(__file__).read_bytes(), WEIGHTS.read_bytes(), torch.__version__.encode()
    digest = hashlib.sha256(b"".join(held)).hexdigest()[:16]
    folder = Path(__file__).parent / "graphs" / digest
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
            export(unfinished)
            unfinished.rename(folder)
    return folder


def export(folder: Path) -> None:
    """Write the two graphs."""
    model = load_model()
    steps = Steps(model)
    images = torch.zeros(2, 3, *model.patch_embed.img_size)
    kept = torch.ones(2, len(model.blocks), model.blocks[0].attn.num_heads)
    several = {0: Dim("images", min=1, max=1024)}
    _write(steps, {"images": images, "kept": kept}, FORWARD, folder / "forward.onnx", several)
    one = {"images": images[:1], "kept": kept[:1], "target": torch.eye(model.num_classes)[:1]}
    # A plain function: make_fx counts the self of a method.
    backward = make_fx(lambda images, kept, target: steps.gradients(images, kept, target))
    _write(backward(*one.values()), one, GRADIENTS, folder / "gradients.onnx")


def _write(
    graph: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    several: dict[int, Dim] | None = None,
) -> None:
    program = torch.onnx.export(
        graph.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=None if several is None else (several,) * len(inputs),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]  # where in which file of this machine each came from
    onnx.save(model, path)
