"""The text tower of a two-tower model of transformers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...errors import TargetError
from ..text_prompts import TextTower

__all__ = ["has_two_towers", "text_tower"]


def has_two_towers(model: object) -> bool:
    """Whether a model gives features of images and of texts, to be compared."""
    return hasattr(model, "get_image_features") and hasattr(model, "get_text_features")


def text_tower(model: Any) -> TextTower | None:
    """The text tower; None where there is none."""
    if not has_two_towers(model):
        return None

    def encode(ids: Tensor) -> Tensor:
        try:
            output = model.get_text_features(input_ids=ids)
        except (TypeError, AttributeError) as error:  # some versions lose their pooled output
            raise TargetError(
                f"{type(model).__name__}.get_text_features of this version of transformers fails "
                f"({type(error).__name__}: {error}): give features=..., made by the text tower."
            ) from error
        features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
        return features

    # SigLIP reads the last token, which is padding in all but the longest texts it knows.
    reads_padding = str(model.config.model_type).startswith("siglip")
    length = model.config.text_config.max_position_embeddings if reads_padding else None
    bias = getattr(model, "logit_bias", None)
    told = None if bias is None else float(bias.detach())
    return TextTower(model, encode, None, _scale(model), length, told)


def _scale(model: Any) -> float:
    """What turns a cosine into a logit."""
    if hasattr(model, "temperature"):
        return 1 / float(model.temperature.detach())
    scale = model.logit_scale.detach().float()
    if hasattr(model, "max_log_logit_scale"):  # AIMv2's is not to grow beyond
        scale = scale.clamp(0.0, float(model.max_log_logit_scale))
    return float(scale.exp())
