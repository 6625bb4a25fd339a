"""Text prompts as classes: a vision tower whose classifier is the likeness to some texts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..errors import ParameterError, TargetError
from .eval_mode import evaluating
from .output_kind import OutputKind
from .preparation import Preparation
from .said_classes import with_classes
from .token_layout import TokenLayout
from .vision_transformer import VisionTransformer

__all__ = ["TextTower", "ZeroShot", "takes_prompts", "with_prompts", "zero_shot"]

_EMPTY = "a photo of a"
"""What LeGrad's authors take for the empty prompt."""


Tokenizer: TypeAlias = Callable[..., "Tensor | Mapping[str, Tensor | list[list[int]]]"]
"""Texts -> token ids [text, length], or a mapping with ``input_ids``."""


@dataclass(frozen=True)
class TextTower:
    """The other tower of a CLIP or SigLIP model.

    ``model`` holds the tower; ``encode`` takes token ids [text, length] and gives features [text,
    dim]; ``tokenize`` takes texts, and is None where the library keeps it apart from the model;
    ``scale`` turns cosines into logits; ``length`` is how many tokens every text is padded to,
    where the tower was trained so; ``bias`` is added to a scaled cosine, where it was trained with
    a sigmoid for each text.
    """

    model: nn.Module
    encode: Callable[[Tensor], Tensor]
    tokenize: Callable[[list[str]], Tensor] | None
    scale: float
    length: int | None = None
    bias: float | None = None


class ZeroShot(VisionTransformer):
    """A vision tower with prompts for classes; see :func:`zero_shot`."""

    def __init__(
        self,
        tower: VisionTransformer,
        prompts: Sequence[str],
        features: Tensor,
        scale: float,
        tokenizer: Tokenizer | None = None,
        bias: float | None = None,
    ) -> None:
        self._tower, self._scale, self._tokenizer, self._bias = tower, scale, tokenizer, bias
        self.prompts = list(prompts)
        with torch.inference_mode(False):  # else no gradient could pass by them
            self._texts = normalize(features.detach().to(tower.device, tower.dtype), dim=-1)
        self.model, self.name, self.library = tower.model, tower.name, tower.library
        self.blocks, self.num_heads = tower.blocks, tower.num_heads
        self.num_classes, self.names = len(prompts), list(prompts)
        self.readout_kind, self.readout_rows = tower.readout_kind, tower.readout_rows
        self.token_first = tower.token_first

    @cached_property
    def empty(self) -> ZeroShot | None:
        """The same with the one prompt that names nothing; None where no text can be read."""
        if not takes_prompts(self):
            return None
        return zero_shot(self._tower, _EMPTY, tokenizer=self._tokenizer, scale=self._scale)

    def _logits(self, features: Tensor) -> Tensor:
        texts = self._texts.to(features)  # the model may have been moved since
        logits = self._scale * normalize(features, dim=-1) @ texts.T
        return logits if self._bias is None else logits + self._bias

    def told_prompts(self) -> list[float]:
        """Scale, bias, and how long each prompt's features are along one direction."""
        texts = self._texts.detach().double().cpu()
        along = texts @ normalize(
            torch.arange(1.0, texts.shape[1] + 1, dtype=texts.dtype).cos(), dim=0
        )
        return [round(float(x), 5) for x in (self._scale, self._bias or 0.0, *along)]

    def check_output(self, output: OutputKind) -> None:
        """Refuse a sigmoid where the tower was not trained with one."""
        if output == "sigmoid" and self._bias is None:
            raise ParameterError(
                f"{self.name} was not trained to say of each prompt by itself whether it fits: it "
                'has no bias for a sigmoid, as SigLIP has. Leave output="softmax".'
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Scaled cosine of the image's features with each prompt's."""
        return self._logits(self._tower.forward(inputs))

    def readout(self, tokens: Tensor) -> Tensor:
        """The same of a layer's tokens."""
        return self._logits(self._tower.readout(tokens))

    def project(self, vector: Tensor) -> Tensor:
        """The same of one vector."""
        return self._logits(self._tower.project(vector))

    def tokens(self, inputs: Tensor) -> TokenLayout:
        """Layout of the tower's tokens."""
        return self._tower.tokens(inputs)

    def finish_block(self, block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
        """The rest of one of the tower's blocks."""
        return self._tower.finish_block(block, inputs, head_outputs)

    def attend_rows(
        self, block: nn.Module, inputs: Tensor, rows: Sequence[int], bias: Tensor | None
    ) -> Tensor | None:
        """A few rows of one of the tower's blocks."""
        return self._tower.attend_rows(block, inputs, rows, bias)

    @property
    def preparation(self) -> Preparation:  # type: ignore[override]
        """The tower's."""
        return self._tower.preparation

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Of the tower's input."""
        return self._tower.channels

    def prepared_by(self, preparation: Preparation) -> ZeroShot:
        """The same with a tower that is prepared for in another way."""
        other = copy.copy(self)
        vars(other).pop("input_size", None)
        other._tower = self._tower.prepared_by(preparation)
        return other


def zero_shot(
    model: nn.Module | VisionTransformer,
    prompts: str | Sequence[str],
    *,
    tokenizer: Tokenizer | None = None,
    features: Tensor | None = None,
    scale: float | None = None,
) -> ZeroShot:
    """Use text prompts as classes, everywhere that classes are used.

    The result can be passed wherever a model is: ``vaw.Explorer(vaw.zero_shot(clip, ["a cat", "a
    dog"]), image)`` shows which prompt fits, what speaks for each, and which heads matter for it.

    Parameters
    ----------
    model : nn.Module
        A CLIP or SigLIP model of open_clip or transformers; or any vision tower without classifier,
        with ``features``.
    prompts : str or sequence of str
    tokenizer : callable, optional
        Texts -> token ids [text, length], or a mapping with ``input_ids``. open_clip's models bring
        their own; transformers' do not: give ``AutoTokenizer.from_pretrained(...)``.
    features : Tensor, optional
        [prompt, dim], text features that were made elsewhere.
    scale : float, optional
        Cosine to logit; the model's own temperature by default, 1 / 0.07 without one.

    Raises
    ------
    TargetError
        If there is no text tower or no tokenizer, or the features are of another length.
    ParameterError
        If the model has a classifier, or no prompt was given.

    Notes
    -----
    The logit of a prompt is what LeGrad's authors explain: the cosine of image and text (times a
    constant, plus SigLIP's bias). SigLIP is trained with a sigmoid for each prompt; the
    probabilities shown are a softmax over the prompts given, unless ``output="sigmoid"`` is said
    (``vaw.trace(siglip, image, text=prompts, output="sigmoid")``). A single prompt has no
    probability by softmax: its logit is shown as a value.
    """
    from .libraries import describe

    tower = describe(model)
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    if not texts:
        raise ParameterError("There are no prompts: give at least one.")
    if tower.has_classes:
        raise ParameterError(
            f"{tower.name} has a classifier of {tower.num_classes} classes: prompts are for vision "
            "towers, which return features."
        )
    text = tower.text
    if features is None:
        if text is None:
            raise TargetError(
                f"{tower.name} has no text tower: give features=..., the text features of your "
                "prompts, or a two-tower model of open_clip or transformers."
            )
        features = _encoded(tower, text, texts, tokenizer)
    if features.ndim != 2 or len(features) != len(texts):
        raise TargetError(
            f"The text features are {tuple(features.shape)}, but {len(texts)} prompts need "
            f"[{len(texts)}, dim]."
        )
    if scale is None:
        scale = text.scale if text is not None else 1 / 0.07
    return ZeroShot(tower, texts, features, scale, tokenizer, text.bias if text else None)


def takes_prompts(vit: VisionTransformer) -> bool:
    """Whether prompts can be given to a model, or others than it has."""
    tower, tokenizer = _parts(vit)
    return tower.text is not None and (tokenizer or tower.text.tokenize) is not None


def with_prompts(vit: VisionTransformer, prompts: Sequence[str]) -> VisionTransformer:
    """The same model with other prompts; without any the tower alone.

    Raises
    ------
    TargetError
        If there is no text tower or no tokenizer.
    """
    tower, tokenizer = _parts(vit)
    if not prompts:
        return tower
    if not isinstance(vit, ZeroShot):
        return zero_shot(tower, prompts, tokenizer=tokenizer)
    features_of = dict(zip(vit.prompts, vit._texts, strict=True))  # also the user's own
    if vit.class_names and len(vit.class_names) == len(vit.prompts):  # they may be called otherwise
        features_of |= dict(zip(vit.class_names, vit._texts, strict=True))
    new = [prompt for prompt in prompts if prompt not in features_of]
    if new:
        read = zero_shot(tower, new, tokenizer=tokenizer, scale=vit._scale)
        features_of |= dict(zip(new, read._texts.to(vit._texts), strict=True))
    features = torch.stack([features_of[prompt] for prompt in prompts])
    prompted = ZeroShot(tower, prompts, features, vit._scale, tokenizer, vit._bias)
    return with_classes(prompted, None, "sigmoid" if vit.said_output == "sigmoid" else None)


def _parts(vit: VisionTransformer) -> tuple[VisionTransformer, Tokenizer | None]:
    return (vit._tower, vit._tokenizer) if isinstance(vit, ZeroShot) else (vit, None)


def _encoded(
    tower: VisionTransformer, text: TextTower, texts: list[str], tokenizer: Tokenizer | None
) -> Tensor:
    tokenize: Tokenizer | None = tokenizer or text.tokenize
    if tokenize is None:
        raise TargetError(
            f"{tower.name} comes without a tokenizer: give tokenizer=AutoTokenizer"
            '.from_pretrained("the name of your model").'
        )
    padding: dict[str, object] = {"padding": True}
    if text.length is not None:
        padding = {"padding": "max_length", "max_length": text.length, "truncation": True}
    try:
        tokenized = tokenize(texts, **padding, return_tensors="pt")  # transformers' way
    except TypeError:
        tokenized = tokenize(texts)
    ids = tokenized["input_ids"] if isinstance(tokenized, Mapping) else tokenized
    with evaluating(text.model), torch.inference_mode(False), torch.no_grad():
        return text.encode(torch.as_tensor(ids).to(tower.device))
