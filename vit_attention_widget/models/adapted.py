"""A Vision Transformer of any origin, by saying where its blocks, tokens and readout are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ..errors import ImageError, ParameterError, UnsupportedModelError
from .class_names import ClassNamesLike
from .classifier import classifier_width
from .normalizations import HALVES
from .output_kind import OutputKind
from .preparation import Normalization, Preparation, resized_and_cropped
from .residual_blocks import finish_block, heads_of
from .said_classes import with_classes
from .token_layout import TokenLayout
from .vision_transformer import VisionTransformer
from .wrapped import note, unwrapped

__all__ = ["AdaptedVisionTransformer", "adapt"]


class AdaptedVisionTransformer(VisionTransformer):
    """A model whose blocks, tokens and readout were told; see :func:`adapt`."""

    library = "adapted"

    def __init__(
        self,
        model: nn.Module,
        blocks: Sequence[nn.Module],
        readout: Callable[[Tensor], Tensor],
        *,
        patch_size: int | tuple[int, int],
        prefix: tuple[str, ...],
        pool: str,
        num_classes: int,
        image_size: int | tuple[int, int],
        normalization: Normalization,
        project: Callable[[Tensor], Tensor] | None = None,
        forward: Callable[[Tensor], Tensor] | None = None,
        class_names: Sequence[str] | None = None,
        num_heads: int | None = None,
        rows: tuple[int, ...] | None = None,
        any_size: bool = False,
        crop: float = 1.0,
        preparation: Preparation | None = None,
        channels: int = 3,
        name: str | None = None,
    ) -> None:
        self.model, self.channels = model, channels
        self.name = name or type(model).__name__
        self.blocks = list(blocks)
        self.num_heads = tuple(num_heads or heads_of(block) for block in self.blocks)
        self.num_classes = num_classes
        self.names = None if class_names is None else [str(name) for name in class_names]
        self.readout_kind = pool
        self.readout_rows = rows or ((0,) if pool == "class" else None)
        self._patch = pair(patch_size)
        self._prefix = tuple(prefix)
        self._readout, self._project, self._forward = readout, project, forward or model
        self._size, self._any_size = pair(image_size), any_size
        self.preparation = preparation or resized_and_cropped(
            self._size,
            normalization,
            "image_size, mean and std of vaw.adapt",
            crop=crop,
            assumed=True,
        )

    def tokens(self, inputs: Tensor) -> TokenLayout:
        """Layout for inputs [batch, 3, height, width].

        Raises
        ------
        ImageError
            If the model was built for another size, or takes whole patches.
        """
        size = height, width = tuple(inputs.shape[-2:])
        if not self._any_size and size != self._size:
            raise ImageError(
                f"The input is {height} x {width} pixels, but {self.name} was built for "
                f"{self._size[0]} x {self._size[1]}: give it that size."
            )
        rows, cols = height // self._patch[0], width // self._patch[1]
        whole = rows * self._patch[0], cols * self._patch[1]
        if size not in (whole, self._size) or 0 in whole:
            raise ImageError(
                f"The input is {height} x {width} pixels, but {self.name} takes whole patches of "
                f"{self._patch[0]} x {self._patch[1]}: resize it to multiples of these."
            )
        return TokenLayout(self._prefix, rows, cols, *self._patch)

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's own forward pass."""
        return self._forward(inputs)

    def readout(self, tokens: Tensor) -> Tensor:
        """Logits (or features) of tokens as they leave a block."""
        return self._readout(tokens)

    def project(self, vector: Tensor) -> Tensor:
        """Logits of one vector, by reading out tokens that are all alike."""
        if self._project is not None:
            return self._project(vector)
        return self._readout(vector[:, None].expand(-1, len(self._prefix) + 1, -1))

    def finish_block(self, block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
        """The rest of a block, if it is one of two residuals; see :mod:`.residual_blocks`."""
        return finish_block(block, inputs, head_outputs)

    def attend_rows(
        self, block: nn.Module, inputs: Tensor, rows: Sequence[int], bias: Tensor | None
    ) -> Tensor | None:
        """No short way is known."""
        return None


def adapt(
    model: nn.Module,
    blocks: str | Sequence[nn.Module],
    readout: Callable[[Tensor], Tensor],
    *,
    patch_size: int | tuple[int, int] = 16,
    prefix: Sequence[str] = ("class",),
    pool: str = "class",
    image_size: int | tuple[int, int] = 224,
    mean: Sequence[float] = HALVES[0],
    std: Sequence[float] = HALVES[1],
    num_classes: int | None = None,
    class_names: ClassNamesLike | None = None,
    num_heads: int | None = None,
    output: OutputKind | None = None,
) -> AdaptedVisionTransformer:
    """Say where the blocks, tokens and readout of a Vision Transformer of your own are.

    What comes back is taken wherever a model is: ``vaw.trace(adapted, image)``,
    ``vaw.Explorer(adapted, image)``.

    Parameters
    ----------
    model : nn.Module
        Takes images [batch, 3, height, width] and returns logits [batch, class]. Its attention is
        ``scaled_dot_product_attention``, ``nn.MultiheadAttention`` or written out. Of a compiled or
        ``DataParallel`` model the module below is taken.
    blocks : str or sequence of nn.Module
        The blocks from first to last, or the path of the module that holds them, e.g.
        ``"encoder.layers"``. Each takes and returns tokens [batch, token, dim].
    readout : callable
        Tokens as they leave the last block, [batch, token, dim] -> logits [batch, class]: the norm,
        the pooling and the classifier.
    patch_size : int or (int, int)
        In pixels.
    prefix : sequence of str
        Tokens before the patches; the class token, if there is one, is called ``"class"`` and is
        the first.
    pool : {"class", "mean", "attention_pool", "max"}
        What the readout reads.
    image_size, mean, std
        Of the model's input; images are resized, cropped and normalized so.
    num_classes : int, optional
        0 for a model that returns features. Otherwise the logits of each pass tell it.
    class_names : sequence of str, mapping or path, optional
        See :func:`~vit_attention_widget.describe`, also for ``output``.
    num_heads : int, optional
        Found in the blocks by default.
    output : {"softmax", "sigmoid", "value", "features"}, optional

    Raises
    ------
    ParameterError, UnsupportedModelError
        If there are no such blocks, or their heads cannot be found.

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
    try:
        found = model.get_submodule(blocks) if isinstance(blocks, str) else blocks
    except AttributeError as error:
        raise ParameterError(f"{type(model).__name__} has no module {blocks!r}: {error}.") from None
    listed = list(found) if not isinstance(found, nn.Module) else list(found.children())
    if not listed:
        raise ParameterError(f"There are no blocks at {blocks!r} of {type(model).__name__}.")
    if pool not in ("class", "mean", "attention_pool", "max"):
        raise ParameterError(f"pool is {pool!r}: choose from class, mean, attention_pool and max.")
    if pool == "class" and tuple(prefix)[:1] != ("class",):
        raise ParameterError(
            f'The readout reads the class token (pool="class"), but the first prefix token is '
            f'{next(iter(prefix), "a patch")!r}: call it "class", or give another pool.'
        )
    if num_classes is None:
        num_classes = classifier_width(model) or 0
    adapted = AdaptedVisionTransformer(
        model,
        listed,
        readout,
        patch_size=patch_size,
        prefix=tuple(prefix),
        pool=pool,
        num_classes=num_classes,
        image_size=image_size,
        normalization=(mean, std),
        num_heads=num_heads,
        name=type(model).__name__ + note(wrappers),
    )
    return with_classes(adapted, class_names, output)


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of a size that may be one number."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def check_batch_first(block: nn.Module, name: str) -> None:
    """Raise unless a block takes [batch, token, dim]."""
    for module in block.modules():
        if isinstance(module, nn.MultiheadAttention) and not module.batch_first:
            raise UnsupportedModelError(
                f"{type(block).__name__} of {name} takes [token, batch, dim]: build the model with "
                "batch_first=True."
            )
