"""Say where the parts of a Vision Transformer of one's own are; the rest is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ..capture.parts_in_turn import PartsInTurn
from ..errors import ParameterError, UnsupportedModelError
from .adapted import AdaptedVisionTransformer, pair
from .class_names import ClassNamesLike
from .classifier import classifier_width
from .eval_mode import evaluating
from .measured import MeasuredReadout, measure_readout
from .normalizations import HALVES
from .output_kind import OutputKind
from .prefix_names import prefix_names, with_class_at
from .residual_blocks import heads_of
from .said_classes import with_classes
from .tried import Tried, try_model
from .wrapped import note, unwrapped

__all__ = ["adapt"]

_POOLS = ("class", "mean", "attention_pool", "max")
_MOST_PREFIX_TOKENS = 9
"""More than these, unless it is said, are rather patches of another size."""
_PART = 0.1
"""A token that pixels change so much, relative to the one that they change most, holds them too."""


def adapt(
    model: nn.Module,
    blocks: str | Sequence[nn.Module],
    readout: Callable[[Tensor], Tensor],
    *,
    patch_size: int | tuple[int, int] | None = None,
    prefix: Sequence[str] | None = None,
    num_prefix: int | None = None,
    pool: str | None = None,
    rows: Sequence[int] | None = None,
    forward: Callable[[Tensor], Tensor] | None = None,
    image_size: int | tuple[int, int] = 224,
    channels: int = 3,
    mean: Sequence[float] = HALVES[0],
    std: Sequence[float] = HALVES[1],
    num_classes: int | None = None,
    class_names: ClassNamesLike | None = None,
    num_heads: int | None = None,
    output: OutputKind | None = None,
) -> AdaptedVisionTransformer:
    """Say where the blocks, tokens and readout of a Vision Transformer of your own are.

    The model is run once on noise, which shows how many tokens come before the patches, how many
    heads there are, the order of the axes, and which tokens the readout reads. What you say is
    checked against that. The result can be passed wherever a model is:
    ``vaw.trace(adapted, image)``, ``vaw.Explorer(adapted, image)``.

    Parameters
    ----------
    model : nn.Module
        Takes images [batch, channel, height, width] and returns logits [batch, class]. Its
        attention is ``scaled_dot_product_attention``, ``nn.MultiheadAttention`` or written out. Of
        a compiled or ``DataParallel`` model the module below is taken.
    blocks : str or sequence of nn.Module
        The blocks from first to last, or the path of the module that holds them, e.g.
        ``"encoder.layers"``. Each takes and returns tokens [batch, token, dim] or [token, batch,
        dim]. A block may be an ``nn.ModuleList`` whose modules run as ``x = x + part(x)``.
    readout : callable
        Tokens as they leave the last block (in its order of axes) -> logits [batch, class]: the
        norm, the pooling and the classifier.
    patch_size : int or (int, int), optional
        In pixels. By default that of the convolution that makes tokens of patches.
    prefix : sequence of str, optional
        Names of the tokens before the patches; the class token, if there is one, is called
        ``"class"``. By default as many as are seen.
    num_prefix : int, optional
        How many tokens are before the patches, instead of their names.
    pool : {"class", "mean", "attention_pool", "max"}, optional
        What the readout reads; measured by default.
    rows : sequence of int, optional
        The tokens that the readout reads; measured by default.
    forward : callable, optional
        Images [batch, channel, height, width] -> logits [batch, class], where the model is not
        called on images alone or returns more than logits.
    image_size, channels, mean, std
        Of the model's input; images are resized, cropped and normalized so.
    num_classes : int, optional
        0 for a model that returns features. Otherwise the logits of each pass tell it.
    class_names : sequence of str, mapping or path, optional
        See :func:`~vit_attention_widget.describe`, also for ``output``.
    num_heads : int, optional
        As seen by default.
    output : {"softmax", "sigmoid", "value", "features"}, optional

    Raises
    ------
    ParameterError
        If there are no such blocks, or what is said is not what is seen.
    UnsupportedModelError
        If the model cannot be run on images, or its blocks or readout on tokens.

    Examples
    --------
    >>> import torch, vit_attention_widget as vaw
    >>> class Mine(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.patch = torch.nn.Conv2d(3, 32, 8, 8)
    ...         self.cls = torch.nn.Parameter(torch.zeros(1, 1, 32))
    ...         layer = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    ...         self.encoder = torch.nn.TransformerEncoder(layer, 3)
    ...         self.head = torch.nn.Linear(32, 10)
    ...     def forward(self, x):
    ...         x = self.patch(x).flatten(2).mT
    ...         x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
    ...         return self.head(self.encoder(x)[:, 0])
    >>> mine = Mine().eval()
    >>> adapted = vaw.adapt(
    ...     mine,
    ...     "encoder.layers",
    ...     lambda tokens: mine.head(tokens[:, 0]),
    ...     patch_size=8,
    ...     image_size=32,
    ... )
    >>> vaw.explainers.legrad(vaw.trace(adapted, torch.rand(1, 3, 32, 32))).final.shape
    torch.Size([1, 4, 4])
    """
    model, wrappers = unwrapped(model)
    listed, where = _blocks(model, blocks)
    if pool not in (None, *_POOLS):
        raise ParameterError(f"pool is {pool!r}: choose from class, mean, attention_pool and max.")
    size = pair(image_size)
    patch = _patch_size(model, listed) if patch_size is None else pair(patch_size)
    tried = try_model(model, listed, forward or model, (channels, *size), patch, where)
    count = _num_prefix(tried, size, patch, prefix, num_prefix)
    turned = (lambda tokens: readout(tokens.transpose(0, 1))) if tried.token_first else readout
    measured = _measured(turned, model, tried)
    kind, few = _readout_kind(measured, count, pool, rows)
    adapted = AdaptedVisionTransformer(
        model,
        listed,
        turned,
        patch_size=patch,
        prefix=_names(model, listed, count, kind, measured.rows)
        if prefix is None
        else tuple(prefix),
        pool=kind,
        rows=few,
        num_classes=(classifier_width(model) or 0) if num_classes is None else num_classes,
        image_size=image_size,
        channels=channels,
        normalization=(mean, std),
        num_heads=_num_heads(listed, tried, num_heads),
        forward=forward,
        name=type(model).__name__ + note(wrappers),
    )
    adapted.token_first = tried.token_first
    return with_classes(adapted, class_names, output)


def _blocks(model: nn.Module, blocks: str | Sequence[nn.Module]) -> tuple[list[nn.Module], str]:
    """The blocks, and where they are in words."""
    try:
        holder = model.get_submodule(blocks) if isinstance(blocks, str) else blocks
    except AttributeError as error:
        raise ParameterError(f"{type(model).__name__} has no module {blocks!r}: {error}.") from None
    listed = list(holder) if not isinstance(holder, nn.Module) else list(holder.children())
    if not listed:
        raise ParameterError(f"There are no blocks at {blocks!r} of {type(model).__name__}.")
    where = repr(blocks) if isinstance(blocks, str) else "blocks"
    return [PartsInTurn(b) if isinstance(b, nn.ModuleList) else b for b in listed], where


def _num_prefix(
    tried: Tried,
    size: tuple[int, int],
    patch: tuple[int, int],
    prefix: Sequence[str] | None,
    num_prefix: int | None,
) -> int:
    """How many tokens come before the patches, which must be what was said."""
    rows, cols = size[0] // patch[0], size[1] // patch[1]
    count = tried.num_tokens - rows * cols
    said = len(prefix) if prefix is not None else num_prefix
    if prefix is not None and num_prefix not in (None, len(prefix)):
        raise ParameterError(f"num_prefix is {num_prefix}, but prefix has {len(prefix)} names.")
    if count == said or (said is None and 0 <= count <= _MOST_PREFIX_TOKENS):
        _check_order(tried, count, cols)
        return count
    raise ParameterError(
        f"The blocks are given {tried.num_tokens} tokens for {size[0]} x {size[1]} pixels, but "
        f"patches of {patch[0]} x {patch[1]} are {rows} x {cols}"
        + (" and no class token or other" if said == 0 else f" and {said} more" if said else "")
        + f". {_proposal(tried.num_tokens, size, count)}"
    )


def _check_order(tried: Tried, count: int, cols: int) -> None:
    """Raise unless the patches come row by row after the prefix tokens.

    Where patches overlap, pixels may change the token next to theirs most: it is enough that they
    change theirs too. Whether all are moved on by one is seen where places are measured.
    """
    expected = (count, count + cols - 1, tried.num_tokens - 1)
    most = tried.moved.amax(-1)
    if all(
        seen in (None, token) or bool(moved[token] >= _PART * largest)
        for seen, token, moved, largest in zip(
            tried.marked, expected, tried.moved, most, strict=True
        )
    ):
        return
    raise UnsupportedModelError(
        "The tokens are not some prefix tokens and then the patches row by row: the patches "
        f"at the top left, top right and bottom right are tokens {tried.marked}, where {expected} "
        f"would be expected with {count} prefix tokens. Say patch_size=... if the patches are of "
        "another size; tokens in another order cannot be shown."
    )


def _patch_size(model: nn.Module, blocks: Sequence[nn.Module]) -> tuple[int, int]:
    """Of the one convolution outside the blocks whose stride is its kernel; 16 otherwise."""
    inside = {part for block in blocks for part in block.modules()}
    strides = {
        pair(module.stride)
        for module in model.modules()
        if isinstance(module, nn.Conv2d) and module not in inside
        if module.stride == module.kernel_size and min(module.stride) > 1
    }
    return strides.pop() if len(strides) == 1 else (16, 16)


def _proposal(num_tokens: int, size: tuple[int, int], count: int) -> str:
    """The call that would fit."""
    if 0 <= count <= _MOST_PREFIX_TOKENS:  # as patches are of this size, it is their number
        names = ["class", *(f"register {i}" for i in range(count - 1))][:count]
        return f"Say num_prefix={count}, or their names, e.g. prefix={tuple(names)!r}."
    for extra in range(_MOST_PREFIX_TOKENS + 1):
        for side in range(min(size), 3, -1):
            if (size[0] // side) * (size[1] // side) == num_tokens - extra:
                return f"Say patch_size={side} and num_prefix={extra}, if that is so."
    return "Say patch_size=..., image_size=... and num_prefix=... as they are."


def _measured(
    readout: Callable[[Tensor], Tensor], model: nn.Module, tried: Tried
) -> MeasuredReadout:
    order = "[token, batch, dim]" if tried.token_first else "[batch, token, dim]"
    shape = [tried.num_tokens, 2] if tried.token_first else [2, tried.num_tokens]
    what = f"The readout, on tokens {order} = {[*shape, tried.dim]} as the last block returns them,"
    try:
        with evaluating(model):
            measured = measure_readout(readout, model, (tried.num_tokens, tried.dim))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnsupportedModelError(
            f"{what} fails ({reason}). It takes these tokens and returns logits [2, class], e.g. "
            f"lambda tokens: model.head(model.norm(tokens)[{_class_token(tried)}])."
        ) from error
    if measured is None:
        raise UnsupportedModelError(
            f"{what} does not return logits [2, class]: it is to pool the tokens, e.g. "
            f"lambda tokens: model.head(model.norm(tokens)[{_class_token(tried)}])."
        )
    return measured


def _class_token(tried: Tried) -> str:
    return "0" if tried.token_first else ":, 0"


def _readout_kind(
    measured: MeasuredReadout, count: int, pool: str | None, rows: Sequence[int] | None
) -> tuple[str, tuple[int, ...] | None]:
    """Kind of readout, and the few rows that are all of it."""
    seen = measured.rows
    if not seen:  # a head of zeros lets nothing through
        kind = pool or ("class" if count else "mean")
        return kind, (tuple(rows) if rows else None) if kind == "class" else None
    in_prefix = seen[-1] < count
    kind = "class" if in_prefix else measured.kind
    if rows is not None and tuple(rows) != seen:
        raise ParameterError(
            f"rows is {tuple(rows)}, but what the readout returns depends on {_say(seen)}: leave "
            "rows out, or give the readout that reads these."
        )
    unseen = pool == "attention_pool" and kind == "mean"  # its attention may not be observed
    if pool not in (None, kind) and not unseen:
        raise ParameterError(
            f"pool is {pool!r}, but what the readout returns depends on {_say(seen)}, as with "
            f"pool={kind!r}: leave pool out, or give the readout that reads as you say."
        )
    return pool or kind, tuple(range(seen[-1] + 1)) if in_prefix else None


def _say(rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, rows[:4])) + (f", ... {rows[-1]}" if len(rows) > 4 else "")
    return f"{len(rows)} of the tokens ({shown})"


def _names(
    model: nn.Module, blocks: Sequence[nn.Module], count: int, kind: str, read: Sequence[int]
) -> tuple[str, ...]:
    names = with_class_at(prefix_names(model, blocks, count), read)
    if kind == "class" and "class" not in names:
        return ("class", *(f"register {i}" for i in range(count - 1)))
    return names


def _num_heads(blocks: Sequence[nn.Module], tried: Tried, said: int | None) -> tuple[int, ...]:
    heads = []
    for block, seen in zip(blocks, tried.num_heads, strict=True):
        if seen is not None and said not in (None, seen):
            raise ParameterError(
                f"num_heads is {said}, but {type(block).__name__} attends with {seen} heads: leave "
                "num_heads out."
            )
        heads.append(seen or said or heads_of(block))
    return tuple(heads)
