"""Models as ONNX files."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.eval_mode import evaluating
from ...results.files import replaced
from ...support.words import said

__all__ = ["write_onnx"]

_NEEDED = ("onnx", "onnxscript")


class _Logits(nn.Module):
    """A described model as one module: images [batch, 3, height, width] -> logits."""

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        self.model = vit.model
        self._forward = vit.forward

    def forward(self, images: Tensor) -> Tensor:
        return self._forward(images)


def write_onnx(vit: VisionTransformer, path: str | Path) -> None:
    """Write a model as one ONNX file: ``images`` [batch, channel, height, width] to ``logits``.

    Raises
    ------
    ParameterError
        If onnx or onnxscript is not installed, the model cannot be exported, or the file cannot be
        written.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ParameterError(
            f"ONNX files need {' and '.join(missing)}: pip install {' '.join(missing)}."
        )
    shape = 2, vit.channels, *vit.input_size
    images = torch.zeros(shape, device=vit.device, dtype=vit.dtype)
    logits = _Logits(vit).eval()
    with replaced(path) as temporary, warnings.catch_warnings(), evaluating(vit.model):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                logits,
                (images,),
                str(temporary),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # whatever the model's code does to the exporter
            raise ParameterError(
                f"{vit.name} cannot be exported to ONNX: {said(error)}. Save it as safetensors."
            ) from error
