"""What is observed of a forward pass: each call of attention, and of a block."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from .flex import ChangedScores
from .writes import version_of

__all__ = ["AttentionCall", "BlockCall"]


@dataclass
class AttentionCall:
    """One attention call: ``out = softmax(q k^T * scale + bias) v``.

    Attributes
    ----------
    path : str
        Name of the calling module inside the model.
    block : int or None
        Index of the block that it belongs to; None outside all blocks.
    q, k, v, out : Tensor
        [batch, head, token, head_dim].
    scale : float
    bias : Tensor or None
        Broadcasts to [batch, head, query, key]; a boolean one marks the entries to keep.
    weights : Tensor or None
        The attention itself, [batch, head, query, key], where the scores are not of this form;
        ``q`` and ``k`` have no features then.
    change : ChangedScores or None
        What becomes of the scores before the softmax, where flex_attention changes them.
    """

    path: str
    block: int | None
    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor
    scale: float
    bias: Tensor | None
    weights: Tensor | None = None
    change: ChangedScores | None = None
    _versions: list[int] = field(default_factory=list, init=False, repr=False)

    def hold(self) -> None:
        """Take note of what the tensors hold now: they are not copied."""
        self._versions = [version_of(tensor) for tensor in self._tensors()]

    @property
    def was_written_over(self) -> bool:
        """Whether something wrote into one of the tensors since :meth:`hold`."""
        now = [version_of(tensor) for tensor in self._tensors()]
        return bool(self._versions) and now != self._versions

    def _tensors(self) -> list[Tensor]:
        tensors = (self.q, self.k, self.v, self.out, self.bias, self.weights)
        return [tensor for tensor in tensors if tensor is not None]

    @property
    def is_plain(self) -> bool:
        """Whether this is ``softmax(q k^T * scale) v`` and no more."""
        return self.bias is None and self.weights is None and self.change is None


@dataclass
class BlockCall:
    """The arguments and the output of a block, enough to run it again.

    Attributes
    ----------
    input : Tensor
        Tokens before the block, [batch, token, dim].
    args, kwargs
        The other positional arguments, and all keyword arguments.
    output : Tensor
        Tokens after the block, [batch, token, dim].
    normed : Tensor or None
        Output of the norm that reads the block's input before its attention, if there is one and
        it is part of an autograd graph.
    unclear_norm : str or None
        Why it cannot be said which norm that is; None if it can, or if there is none.
    token_first : bool
        Whether the block itself takes and returns [token, batch, dim].
    """

    input: Tensor
    args: tuple[object, ...]
    kwargs: dict[str, object]
    output: Tensor
    normed: Tensor | None = None
    unclear_norm: str | None = None
    token_first: bool = False

    @property
    def other_kwargs(self) -> dict[str, object]:
        """Keyword arguments besides the input."""
        return {name: value for name, value in self.kwargs.items() if value is not self.input}

    def rerun(self, block: nn.Module, tokens: Tensor) -> Tensor:
        """Run the block on other tokens [batch, token, dim] with the same further arguments."""
        tokens = tokens.transpose(0, 1) if self.token_first else tokens
        result: Tensor | tuple[Tensor, ...] = block(tokens, *self.args, **self.other_kwargs)
        result = result[0] if isinstance(result, tuple) else result
        return result.transpose(0, 1) if self.token_first else result
