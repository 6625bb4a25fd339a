"""Blocks of two residuals, whatever their library calls the parts.

This is a guess by names; :mod:`~vit_attention_widget.tracing.block_rows` tries it against what the
model itself computed before it relies on it, so a wrong guess costs time, never a wrong result.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import UnsupportedModelError

__all__ = ["finish_block", "heads_of"]

_NORM_1 = ("layernorm_before", "layer_norm1", "norm1", "ln_1")
_NORM_2 = ("layernorm_after", "layer_norm2", "norm2", "ln_2")
_ATTENTION = ("attention", "self_attn", "self_attention", "attn")
_OUTPUT = ("o_proj", "out_proj", "proj", "output.dense", "attention.output.dense")
_SCALE_1 = ("layer_scale1", "ls_1", "lambda_1")
_SCALE_2 = ("layer_scale2", "ls_2", "lambda_2")
_HEADS = ("num_heads", "num_attention_heads", "n_head", "n_heads", "heads")


def heads_of(block: nn.Module) -> int:
    """Number of heads of a block.

    Raises
    ------
    UnsupportedModelError
        If no module of the block says it.
    """
    for module in block.modules():
        said = _said_heads(module)
        if said is not None:  # what is inside it knows better: it may have been cut
            inside = [_said_heads(part) for part in module.modules() if part is not module]
            return next((heads for heads in inside if heads is not None), said)
        config = getattr(module, "config", None)
        if isinstance(getattr(config, "num_attention_heads", None), int):
            return int(config.num_attention_heads)  # type: ignore[union-attr]
    raise UnsupportedModelError(
        f"{type(block).__name__} does not say how many heads it has: give num_heads=..."
    )


def _said_heads(module: nn.Module) -> int | None:
    said = (getattr(module, name, None) for name in _HEADS)
    return next((int(heads) for heads in said if isinstance(heads, int)), None)


def finish_block(block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
    """Output of a block from its inputs [B, n, dim] and head outputs [B, head, n, head_dim].

    None where the parts are not found.
    """
    attention, norm1, norm2 = (_first(block, names) for names in (_ATTENTION, _NORM_1, _NORM_2))
    project = None if attention is None else _first(attention, _OUTPUT)
    if project is None or norm1 is None or norm2 is None:
        return None
    out: Tensor = project(head_outputs.transpose(1, 2).flatten(2))
    if isinstance(block, nn.TransformerEncoderLayer):
        if block.norm_first:
            x = inputs + out
            return x + block._ff_block(block.norm2(x))
        x = block.norm1(inputs + out)
        after: Tensor = block.norm2(x + block._ff_block(x))
        return after
    x = inputs + _scaled(block, _SCALE_1, out)
    mlp = getattr(block, "mlp", None)
    if mlp is not None:
        return x + _scaled(block, _SCALE_2, mlp(norm2(x)))
    intermediate, output = getattr(block, "intermediate", None), getattr(block, "output", None)
    if intermediate is None or output is None:
        return None
    dense = getattr(output, "dense", None)
    return None if dense is None else x + _scaled(block, _SCALE_2, dense(intermediate(norm2(x))))


def _first(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    for name in names:
        try:
            part = module.get_submodule(name)
        except AttributeError:
            continue
        return part
    return None


def _scaled(block: nn.Module, names: tuple[str, ...], branch: Tensor) -> Tensor:
    for name in names:
        scale = getattr(block, name, None)
        if isinstance(scale, nn.Module):
            scaled: Tensor = scale(branch)
            return scaled
        if isinstance(scale, Tensor):
            return branch * scale
    return branch
