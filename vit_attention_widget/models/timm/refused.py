"""Why some of timm's models are refused, and what their attention could show all the same."""

from __future__ import annotations

from torch import nn

__all__ = ["reason"]

_SHIFTED = (
    "its attention runs inside shifted windows, on grids that shrink stage by stage, and it has no "
    "class token: there is no row of attention that stands for the image, and layers cannot be "
    "multiplied (rollout). vaw.window_attention(model, images) shows each block's attention in its "
    "windows, laid out in the image"
)
_OWN_GRID = (
    "What it has is raw attention, block by block on grids of their own; it is not drawn yet"
)
_WINDOWS = "What it has is raw attention inside windows, drawn for Swin only (vaw.window_attention)"

# Each says why there is no map of the whole image or no rollout, then what there is instead.
_REASONS = {
    "SwinTransformer": _SHIFTED,
    "SwinTransformerV2": _SHIFTED,
    "SwinTransformerV2Cr": _SHIFTED,
    "MaxxVit": "its attention runs between convolutions, which move content between patches unseen "
    "(MaxViT: inside windows and grids; CoAtNet: in the last stages), so rollout is not defined. "
    + _WINDOWS,
    "Hiera": "its tokens are merged from stage to stage, so layers do not share one patch grid and "
    "their attention cannot be multiplied (rollout). " + _OWN_GRID,
    "HieraDet": "its tokens are merged from stage to stage and attend inside windows, so layers do "
    "not share one patch grid. " + _OWN_GRID,
    "PyramidVisionTransformerV2": "its keys are downsampled, and its grid shrinks stage by stage: "
    "queries and keys are not the same tokens, so rollout is not defined. " + _OWN_GRID,
    "MultiScaleVit": "its queries and keys are pooled, and its grid shrinks stage by stage: they "
    "are not the same tokens, so rollout is not defined. " + _OWN_GRID,
    "Levit": "its queries are subsampled between stages, so layers do not share one patch grid. "
    + _OWN_GRID,
    "PoolingVisionTransformer": "its grid is pooled from stage to stage, so layers do not share "
    "one patch grid. " + _OWN_GRID,
    "Nest": "its attention runs inside blocks of the image, merged by convolutions from stage to "
    "stage. " + _WINDOWS,
    "GlobalContextVit": "its attention runs inside windows, on grids that shrink stage by stage. "
    + _WINDOWS,
    "TinyVit": "its attention runs inside windows, with convolutions between. " + _WINDOWS,
    "EfficientVitMsra": "its attention runs inside windows, and each head is given the output of "
    "the one before. " + _WINDOWS,
    "VisionTransformerSAM": "most of its attention runs inside windows, so most rows of it "
    "cover a part of the image. " + _WINDOWS,
    "DaVit": "its attention runs inside windows and over channels in turn; attention over channels "
    "has no place in the image. " + _WINDOWS,
    "Twins": "its attention runs inside windows and over downsampled keys in turn, on grids that "
    "shrink stage by stage. " + _WINDOWS,
    "Xcit": "its attention runs over channels (cross-covariance), not over tokens: between patches "
    "there is no attention to be shown. Only the class token of its last blocks looks at patches",
    "CoaT": "its attention is factorized: keys meet values before queries, so no attention from "
    "token to token is ever formed",
    "EfficientVit": "its attention is linear (ReLU, without softmax): no attention from token to "
    "token is ever formed",
    "EfficientVitLarge": "its attention is linear (ReLU, without softmax): no attention from token "
    "to token is ever formed",
    "Cait": "its class token joins after the patch blocks, and its heads are mixed after softmax, "
    "so no head's attention stands alone",
    "ConVit": "its class token joins after the first blocks, whose attention mixes content with "
    "positions by a gate and is none of the softmax alone",
    "SHViT": "its attention (in the modules SHSA) has one head over a part of the channels, "
    "between convolutions, on grids that shrink stage by stage, so rollout is not defined. "
    + _OWN_GRID,
    "IFormer": "its attention (in the modules SHMA) has one head, whose output is "
    "gated and stands between convolutions, on grids that shrink stage by stage, so rollout is not "
    "defined. " + _OWN_GRID,
    "CrossVit": "it has two branches with patch grids of their own, which meet in the class tokens",
}


def reason(model: nn.Module) -> str | None:
    """What of a refused model cannot be shown and why, and what can; without a full stop.

    None of families of which nothing is known.
    """
    names = (ancestor.__name__ for ancestor in type(model).__mro__)
    return next((_REASONS[name] for name in names if name in _REASONS), None)


def reason_of_others(model: nn.Module, error: Exception) -> str:
    """Why a model of another family could not be described by its parts, as ``error`` says."""
    seen = str(error).removeprefix(f"{type(model).__name__} is not supported: ").rstrip(".")
    if seen.startswith("no attention"):  # under the names that are looked for there
        seen = "no list of blocks with such attention was found"
    for path, module in model.named_modules():
        names = type(module).__name__.lower(), path.rpartition(".")[2]
        called_so = any("attention" in name or "attn" in name for name in names)
        if called_so and next(module.parameters(), None) is not None:
            return (
                f"its attention (first at {path!r}) is in no family that is known, and by its "
                f"parts it could not be described: {seen}. Where its blocks take and return one "
                "sequence of tokens, vaw.adapt(model, blocks, readout) takes it"
            )
    return (
        "no attention was found in it: none of its modules is called so. If some of them attend "
        "all the same, and their blocks take and return one sequence of tokens, "
        "vaw.adapt(model, blocks, readout) takes it"
    )
