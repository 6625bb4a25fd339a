"""Recompute parts of a block for a few of its tokens, at the cost of those alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..capture.function_mode import rerun_with_head_outputs
from ..models.weights_state import hooks_of
from ..support.module_tree import modules_of
from .forward_pass import ForwardPass

__all__ = ["BlockRows"]


class BlockRows:
    """Recomputes parts of the recorded blocks for some rows of the tokens [batch, token, dim].

    The part of a block after its attention acts on each token separately. For known types of
    blocks the model's description implements that part; it is compared with what the block itself
    computed before it is used. A block of any other type is run again as a whole, which is slower
    but works for every block.
    """

    def __init__(self, forward_pass: ForwardPass) -> None:
        self._forward_pass = forward_pass
        self._can_finish: dict[tuple[type[nn.Module], ...], bool] = {}
        self._can_attend: dict[int, bool] = {}

    def of(self, forward_pass: ForwardPass) -> BlockRows:
        """The blocks in another pass of the same model, with what is known of their types."""
        rows = BlockRows(forward_pass)
        rows._can_finish = self._can_finish
        return rows

    def can_finish(self, layer: int) -> bool:
        """Whether :meth:`finish` reproduces the block; tested once for each type of block."""
        recorded = self._forward_pass
        block, record = recorded.model.blocks[layer], recorded.layers[layer]
        if hooks_of(block):
            return False
        types = tuple(map(type, modules_of(block)))
        if types not in self._can_finish:
            row = [0]
            with torch.no_grad():
                finished = recorded.model.finish_block(
                    block, record.input[:, row], record.out[:, :, row]
                )
            self._can_finish[types] = finished is not None and _are_close(
                finished, record.output[:, row]
            )
        return self._can_finish[types]

    def finish(self, layer: int, inputs: Tensor, head_outputs: Tensor) -> Tensor:
        """Apply the part of a block after its attention. Requires :meth:`can_finish`.

        Parameters
        ----------
        layer : int
        inputs : Tensor
            Tokens before the block, [batch, row, dim].
        head_outputs : Tensor
            [batch, head, row, head_dim].

        Returns
        -------
        Tensor
            Tokens after the block, [batch, row, dim].
        """
        model = self._forward_pass.model
        finished = model.finish_block(model.blocks[layer], inputs, head_outputs)
        assert finished is not None
        return finished

    def replace_head_outputs(
        self, layer: int, head_outputs: Tensor, rows: list[int] | None = None
    ) -> Tensor:
        """Tokens after a block whose head outputs are replaced by others.

        Parameters
        ----------
        layer : int
        head_outputs : Tensor
            [batch, head, row, head_dim]; the batch may be a multiple of the recorded one.
        rows : list of int, optional
            The tokens to which ``head_outputs`` belong; all by default.

        Returns
        -------
        Tensor
            [batch, row, dim].
        """
        recorded = self._forward_pass
        record = recorded.layers[layer]
        if self.can_finish(layer):
            inputs = record.input if rows is None else record.input[:, rows]
            if head_outputs.shape[0] != inputs.shape[0]:
                inputs = inputs.repeat(head_outputs.shape[0] // inputs.shape[0], 1, 1)
            return self.finish(layer, inputs.detach(), head_outputs)
        if rows is not None:
            copies = head_outputs.shape[0] // recorded.batch_size
            full = record.out.detach().repeat(copies, 1, 1, 1)
            head_outputs = full.index_copy(2, torch.tensor(rows, device=full.device), head_outputs)
        block = recorded.model.blocks[layer]
        finished = rerun_with_head_outputs(recorded.model.model, block, record.block, head_outputs)
        return finished if rows is None else finished[:, rows]

    def attend(self, layer: int, tokens: Tensor, rows: list[int]) -> Tensor | None:
        """Head outputs of a few rows of a block for other input tokens; masked heads are zero.

        Parameters
        ----------
        layer : int
        tokens : Tensor
            [batch, token, dim]; the batch may be a multiple of the recorded one.
        rows : list of int

        Returns
        -------
        Tensor or None
            [batch, head, row, head_dim]; None if the model's description cannot reproduce this
            block's attention for single rows.
        """
        recorded = self._forward_pass
        bias = recorded.layers[layer].bias
        if recorded.layers[layer].change is not None:
            return None
        if bias is not None:
            if bias.ndim < 3 or (bias.ndim == 4 and bias.shape[0] > 1) or bias.dtype == torch.bool:
                return None  # specific to each image, or a mask
            bias = bias.detach()[..., rows, :] if bias.shape[-2] > 1 else bias.detach()
        if layer not in self._can_attend:
            self._can_attend[layer] = self._reproduces_attention(layer, rows, bias)
        if not self._can_attend[layer]:
            return None
        out = recorded.model.attend_rows(recorded.model.blocks[layer], tokens, rows, bias)
        masked = recorded.head_mask.get(layer)
        if out is not None and masked:
            out = out.index_fill(1, torch.tensor(masked, device=out.device), 0)
        return out

    def _reproduces_attention(self, layer: int, rows: list[int], bias: Tensor | None) -> bool:
        """Whether the model's description reproduces the head outputs that the block computed."""
        recorded = self._forward_pass
        block, record = recorded.model.blocks[layer], recorded.layers[layer]
        if hooks_of(block):
            return False
        out = recorded.model.attend_rows(block, record.input.detach(), rows, bias)
        masked = recorded.head_mask.get(layer, ())
        kept = [head for head in range(record.out.shape[1]) if head not in masked]
        return out is not None and _are_close(out[:, kept], record.out[:, kept][:, :, rows])


def _are_close(values: Tensor, expected: Tensor) -> bool:
    tolerance = 1e-4 if expected.dtype in (torch.float32, torch.float64) else 3e-2
    return bool((values - expected).norm() <= tolerance * expected.norm().clamp_min(1e-12))
