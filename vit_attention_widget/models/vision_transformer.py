"""The description of a Vision Transformer that the rest of the package works with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..support.words import sendable
from .image_input import ImageInput
from .output_kind import OutputKind
from .token_layout import TokenLayout

if TYPE_CHECKING:
    from .text_prompts import TextTower

__all__ = ["VisionTransformer"]


class VisionTransformer(ImageInput):
    """A model, and what of it cannot be seen from outside.

    Attributes
    ----------
    model : nn.Module
        The user's own model; it is never changed.
    name, library : str
        What to call it, and where it comes from.
    blocks : list of nn.Module
        The transformer blocks from first to last.
    num_heads : tuple of int
        Heads of each block.
    num_classes : int
        Length of the logits, 0 without a classifier. A description that was made before the model
        was run tells it from the classifier; a trace's has it from the logits.
    names : sequence of str or None
        What the classes are called by the user or the model's configuration, however many.
    said_output : {"softmax", "sigmoid", "value", "features"} or None
        What the outputs are by the user or the model's configuration.
    readout_kind : {"class", "mean", "attention_pool", "max"}
        How the tokens after the last block become one vector.
    readout_rows : tuple of int or None
        The only tokens that the readout looks at, or None if it looks at all.
    text : TextTower or None
        The other tower of a two-tower model.
    factory : callable or None
        What makes the model, called with nothing; where :func:`.made_by` was told.
    token_first : bool
        Whether the blocks themselves take and return [token, batch, dim]; all else here is
        [batch, token, dim].
    """

    library: str
    model: nn.Module
    name: str
    blocks: list[nn.Module]
    num_heads: tuple[int, ...]
    num_classes: int
    names: Sequence[str] | None
    said_output: OutputKind | None = None
    readout_kind: str
    readout_rows: tuple[int, ...] | None
    text: TextTower | None = None
    factory: Callable[[], nn.Module | VisionTransformer] | None = None
    token_first: bool = False

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    @property
    def class_names(self) -> list[str] | None:
        """What the classes are called; None where that is not known of this many.

        A ``?`` stands for what is no letter (half of a surrogate pair), whoever gave the names.
        """
        names = self.names
        if not names or len(names) != self.num_classes:
            return None
        return [sendable(name) for name in names]

    @class_names.setter
    def class_names(self, names: Sequence[str] | None) -> None:
        self.names = names

    @property
    def output(self) -> OutputKind:
        """What the numbers that the model returns stand for, see :data:`.OutputKind`.

        Unless it was said: features without a classifier, a value if there is one, else classes of
        which one is there.
        """
        if self.said_output is not None:
            return self.said_output
        return (
            "features" if self.num_classes == 0 else "value" if self.num_classes == 1 else "softmax"
        )

    @property
    def has_classes(self) -> bool:
        """Whether what the model returns are classes or values, and not features."""
        return self.output != "features"

    def told_prompts(self) -> list[float] | None:
        """Some values of what the logits depend on beside the model's weights; None of nothing."""
        return None

    def check_output(self, output: OutputKind) -> None:
        """Raise :class:`ParameterError` if the numbers that the model returns cannot be that."""

    @abstractmethod
    def tokens(self, inputs: Tensor) -> TokenLayout:
        """Layout of the tokens for model inputs [batch, 3, height, width]."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """The model's own forward pass: [batch, 3, height, width] -> logits [batch, class]."""

    @abstractmethod
    def readout(self, tokens: Tensor) -> Tensor:
        """Logits of tokens [batch, token, dim] as they leave a block, by the model's own head."""

    @abstractmethod
    def project(self, vector: Tensor) -> Tensor:
        """Logits of one vector [batch, dim] by the model's final norm and classifier."""

    @abstractmethod
    def finish_block(self, block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
        """The rest of a block after its attention, for any subset of its tokens.

        Parameters
        ----------
        block : nn.Module
            One of ``blocks``.
        inputs : Tensor
            What the block was given, [batch, token, dim].
        head_outputs : Tensor
            Attention times values, [batch, head, token, head_dim].

        Returns
        -------
        Tensor or None
            What the block returns, [batch, token, dim]; None if the block's form is not known.
        """

    @abstractmethod
    def attend_rows(
        self, block: nn.Module, inputs: Tensor, rows: Sequence[int], bias: Tensor | None
    ) -> Tensor | None:
        """Head outputs of a few rows of a block, at less than the price of all.

        Parameters
        ----------
        block : nn.Module
            One of ``blocks``.
        inputs : Tensor
            What the block is given, [batch, token, dim].
        rows : sequence of int
        bias : Tensor or None
            Added to the scores; broadcasts to [batch, head, row, token].

        Returns
        -------
        Tensor or None
            [batch, head, row, head_dim]; None if there is no such way.
        """

    def class_name(self, index: int) -> str:
        """Name of a class (or value), or ``"class 3"`` where names are not known."""
        names = self.names
        if names and len(names) == self.num_classes:
            return sendable(names[index])
        if self.output == "value":
            return "value" if self.num_classes == 1 else f"value {index}"
        return f"class {index}"
