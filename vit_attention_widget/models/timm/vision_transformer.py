"""timm's isotropic Vision Transformers: ViT, DeiT, BEiT, EVA and what is built from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import timm.models as timm_models
from torch import Tensor, nn

from ...errors import ImageError, UnsupportedModelError
from ..classifier import classifier_width
from ..patch_places import first_patch
from ..token_layout import TokenLayout
from ..vision_transformer import VisionTransformer
from .blocks import attend_rows, finish_block
from .class_names import imagenet_names
from .input import TimmInput, embedding
from .order import check_patch_order, others_modules
from .overridden import describe_by_parts, describe_overridden, is_overridden
from .refused import reason, reason_of_others

__all__ = ["TimmVisionTransformer", "describe", "described_or_why_not"]

_FAMILIES: tuple[type[nn.Module], ...] = (
    timm_models.vision_transformer.VisionTransformer,
    timm_models.beit.Beit,
    timm_models.eva.Eva,
    timm_models.vision_transformer_relpos.VisionTransformerRelPos,
)
_FLEXIBLE = getattr(getattr(timm_models, "naflexvit", None), "NaFlexVit", None)
if _FLEXIBLE is not None:  # not in older versions of timm
    _FAMILIES = (*_FAMILIES, _FLEXIBLE)


def describe(model: nn.Module) -> VisionTransformer:
    """Describe a timm model.

    Raises
    ------
    UnsupportedModelError
        If the model has no global attention over one grid of patches.
    """
    described = described_or_why_not(model)
    if isinstance(described, VisionTransformer):
        return described
    raise UnsupportedModelError(
        f"{type(model).__name__} is not supported: {described}. The explainers need blocks of "
        "global attention over one grid of patches, as in timm's VisionTransformer, Beit and Eva "
        'families, e.g. timm.create_model("vit_base_patch16_224").'
    )


def described_or_why_not(model: nn.Module) -> VisionTransformer | str:
    """The description of a timm model, or why its kind has none; without a full stop.

    Raises
    ------
    UnsupportedModelError
        If the model is of a kind that has one, but not as it was built or changed.
    """
    if isinstance(model, _FAMILIES):
        if is_overridden(model):
            return describe_overridden(model)
        described = TimmVisionTransformer(model)
        check_patch_order(described, described.input_shape)
        return described
    why = reason(model)
    if why is not None:
        return why
    try:
        return describe_by_parts(model)
    except UnsupportedModelError as error:
        return reason_of_others(model, error)


class TimmVisionTransformer(TimmInput, VisionTransformer):
    """A model of timm's VisionTransformer, Beit, Eva or relative-position family."""

    library = "timm"

    def __init__(self, model: Any) -> None:
        self.model = model
        self._vit = model  # untyped: timm's families share names, not a base class
        config = getattr(model, "pretrained_cfg", None) or {}
        self._config: dict[str, Any] = dict(config)
        self.name = self._config.get("architecture") or type(model).__name__
        self.blocks = list(model.blocks)
        self.num_heads = tuple(_heads(block) for block in self.blocks)
        width = classifier_width(model.head)
        self.num_classes = max(1, model.num_classes) if width is None else width
        self.readout_kind, self.readout_rows = _readout(model)

    @cached_property
    def names(self) -> Sequence[str] | None:  # type: ignore[override]
        """Names from the model's own configuration, or ImageNet's where the classes are its."""
        return imagenet_names(self.model, self._vit.num_classes)

    def tokens(self, inputs: Tensor) -> TokenLayout:
        """Layout for inputs [batch, 3, height, width].

        Raises
        ------
        ImageError
            If the patch embedding refuses this size.
        """
        height, width = inputs.shape[-2:]
        embed = embedding(self._vit)
        if getattr(self.model, "dynamic_img_size", False) or not hasattr(embed, "grid_size"):
            patch = embed.patch_size
            if not embed.dynamic_img_pad and (height % patch[0] or width % patch[1]):
                raise ImageError(
                    f"The input is {height} x {width} pixels, but {self.name} takes whole patches "
                    f"of {patch[0]} x {patch[1]}: resize it to multiples of these, or create the "
                    "model with dynamic_img_pad=True."
                )
            rows, cols = embed.dynamic_feat_size((height, width))
        else:
            expected = getattr(embed, "img_size", None)
            if expected is not None and tuple(expected) != (height, width):
                raise ImageError(
                    f"The input is {height} x {width} pixels, but {self.name} was built for "
                    f"{expected[0]} x {expected[1]}: give it that size, or create the model with "
                    "img_size=... or dynamic_img_size=True."
                )
            rows, cols = embed.grid_size
        patch = getattr(embed, "patch_size", None) if hasattr(embed, "proj") else None
        is_hybrid = patch is None or hasattr(embed, "backbone")
        if is_hybrid:  # its stem shrinks the image first
            patch = (-(-height // rows), -(-width // cols))
        prefix, size = _prefix_names(self._vit), (int(height), int(width))
        layout = TokenLayout(prefix, rows, cols, int(patch[0]), int(patch[1]), picture=size)
        others = tuple(others_modules(self._vit))
        if _takes_patches(getattr(embed, "proj", None)) and not is_hybrid and not others:
            return layout  # from the top left; timm pads or leaves out below and at the right
        return first_patch(self, layout, size, others)

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's own forward pass, on a copy: some models normalize their input in place."""
        logits: Tensor = self.model(inputs.clone())
        return logits

    def readout(self, tokens: Tensor) -> Tensor:
        """Final norm, pooling and classifier of the model."""
        logits: Tensor = self._vit.forward_head(self._vit.norm(tokens))
        return logits

    def project(self, vector: Tensor) -> Tensor:
        """Final norm and classifier, without pooling."""
        normed = self._vit.norm(vector[:, None])[:, 0]
        logits: Tensor = self._vit.head(self._vit.fc_norm(normed))
        return logits

    def finish_block(self, block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
        """Output projection, residual and MLP of a block; see :mod:`.blocks`."""
        return finish_block(block, inputs, head_outputs)

    def attend_rows(
        self, block: nn.Module, inputs: Tensor, rows: Sequence[int], bias: Tensor | None
    ) -> Tensor | None:
        """Head outputs of a few rows of a block; see :mod:`.attention`."""
        return attend_rows(block, inputs, rows, bias)


def _heads(block: Any) -> int:
    attention = getattr(block, "attn", block)  # a parallel block is its own attention
    if not hasattr(attention, "num_heads"):
        raise UnsupportedModelError(
            f"{type(block).__name__} has no single attention module `attn` with `num_heads`: "
            "blocks with several parallel attentions are not supported."
        )
    return int(attention.num_heads)


def _takes_patches(module: object) -> bool:
    """Whether a module takes patches that lie side by side."""
    if isinstance(module, nn.Conv2d):
        return module.stride == module.kernel_size and module.padding in ((0, 0), "valid")
    return isinstance(module, nn.Linear)


def _prefix_names(model: Any) -> tuple[str, ...]:
    names: list[str] = []
    owner = model if hasattr(model, "cls_token") else embedding(model)
    if getattr(owner, "cls_token", None) is not None:
        names.append("class")
    if getattr(model, "dist_token", None) is not None:
        names.append("distilled")
    count = model.num_prefix_tokens - len(names)
    return tuple(names + [f"register {i}" for i in range(count)])


def _readout(model: Any) -> tuple[str, tuple[int, ...] | None]:
    if getattr(model, "dist_token", None) is not None:
        return "class", (0, 1)
    if getattr(model, "attn_pool", None) is not None:
        return "attention_pool", None
    pool = model.global_pool
    if pool == "token":
        return "class", (0,)
    if pool in ("avg", "avgmax", "max"):
        return ("max" if pool == "max" else "mean"), None
    raise UnsupportedModelError(
        f"{type(model).__name__} was built with global_pool={pool!r}: its tokens are not read out "
        'as one vector. Create it with global_pool="token", "avg" or "map".'
    )
