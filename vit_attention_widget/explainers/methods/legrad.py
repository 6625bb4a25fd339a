"""LeGrad: layerwise gradients of each layer's own readout (Bousselham et al., arXiv 2404.03214)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ...capture.function_mode import Capture
from ...errors import ParameterError
from ...tracing.layer_record import LayerRecord
from ...tracing.trace import Trace
from ...tracing.whole_graph import check_whole, differentiate
from ..attribution import Attribution
from ..pooled import empty_prompt, pool_map, without_generic_patches

__all__ = ["LegradReadout", "legrad"]

LegradReadout: TypeAlias = Literal["model", "mean", "cls"]
"""How LeGrad reads a decision out of a layer's tokens."""


def legrad(
    trace: Trace,
    *,
    readout: LegradReadout = "model",
    start: int = 0,
    correction: bool | None = None,
) -> Attribution:
    r"""How each layer's attention moves the target read out from that layer's own tokens.

    :math:`E_l = \mathrm{mean}_{h,q}\,\mathrm{relu}(\partial s_l / \partial A_l)` over the patch
    columns, with :math:`s_l = y(\mathrm{readout}(z_l))` through the model's final norm and head;
    the map after layer l is the sum of :math:`E_{start} \dots E_l`.

    Parameters
    ----------
    trace : Trace
    readout : {"model", "mean", "cls"}
        ``"model"``: as the model pools (class token, mean or attention pool); ``"mean"``: the
        mean of all tokens, as the authors' code for CLIP does; ``"cls"``: the class token, or
        without one the first token.
    start : int
        First layer that counts; earlier layers are 0.
    correction : bool, optional
        The authors' correction for SigLIP: where the map of the empty prompt, "a photo of a",
        on a scale from 0 to 1, is above 0.8, the map is 0. By default where their code does it:
        with text prompts (:func:`~vit_attention_widget.zero_shot`) on a model that pools by
        attention and comes with a tokenizer.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], at least 0.

    Raises
    ------
    ParameterError
        If an option is outside its range, or ``correction=True`` for a model without an attention
        pool, prompts or tokenizer.
    CaptureError
        If the rest of a block after its attention, or the head, passes no gradient.

    Notes
    -----
    Where only one token is read out, only its row of the gradient differs from zero, so each
    layer costs one row of one block. The mean is over the heads that are not masked. With an
    attention pool the attention is the pool's own, applied to the layer's tokens, as in the
    authors' code for SigLIP; that code leaves out the trunk's final norm, which is applied here
    because the model applies it.

    The correction takes away patches that light up for any prompt. It follows the authors' code
    (``compute_legrad_siglip`` in https://github.com/WalBouss/LeGrad) and is on by default there and
    here. The map after each layer is corrected by the empty prompt's map after that layer; the last
    one equals theirs. Every corrected map has at least one hole: use ``correction=False`` where
    holes would mislead. In half precision a patch near the threshold may fall on either side.
    """
    if readout not in get_args(LegradReadout):
        raise ParameterError(f"readout is {readout!r}: choose 'model', 'mean' or 'cls'.")
    if not 0 <= start < trace.num_layers:
        raise ParameterError(f"start is {start}: layers run from 0 to {trace.num_layers - 1}.")
    empty = empty_prompt(trace, readout, correction)
    first = trace.layers[0].v
    total = first.new_zeros(first.shape[0], first.shape[2]).detach()
    maps = [total] * start
    with trace.rerunning():
        trace.readout.check()
        for layer_map in _layer_maps(trace, list(range(start, trace.num_layers)), readout):
            total = total + layer_map
            maps.append(total)
        if empty is not None:
            maps = without_generic_patches(trace, maps, start, empty)
    return Attribution.from_layers(trace, maps, "legrad")


def _layer_maps(trace: Trace, layers: list[int], readout: LegradReadout) -> Iterator[Tensor]:
    """``E_l`` of each layer for all tokens, [batch, token]."""
    if readout == "model" and trace.model.readout_kind == "attention_pool":
        yield from (pool_map(trace, layer, trace.model, trace.target) for layer in layers)
        return
    rows = _rows(trace, readout)
    together = len(layers) if rows is not None else 1  # few rows: the head is read once for all
    for first in range(0, len(layers), together):
        part = layers[first : first + together]
        with torch.inference_mode(False), torch.enable_grad():
            outs = [trace.layers[layer].out.detach() for layer in part]
            outs = [(o if rows is None else o[:, :, rows]).requires_grad_() for o in outs]
            with Capture(trace.model.model, {}) as capture:
                tokens = [
                    trace.block_rows.replace_head_outputs(*each, rows)
                    for each in zip(part, outs, strict=True)
                ]
                logits = _read(trace, torch.cat(tokens), readout)
                capture.graph_breaks.check_end(logits)
            check_whole(trace.forward_pass, capture.graph_breaks.paths)
            scores = [trace.target.score(each).sum() for each in logits.split(trace.batch_size)]
            gradients = differentiate(trace.forward_pass, scores, outs)
        for layer, gradient in zip(part, gradients, strict=True):
            record = trace.layers[layer]
            moving = gradient.masked_fill(record.masked, 0)  # a masked head moves nothing
            yield _mean_relu(record, moving) / trace.tokens.num_tokens


def _rows(trace: Trace, readout: LegradReadout) -> list[int] | None:
    if readout == "cls":
        return [trace.tokens.class_token or 0]
    if readout == "mean" or trace.model.readout_rows is None:
        return None
    return list(trace.model.readout_rows)


def _read(trace: Trace, tokens: Tensor, readout: LegradReadout) -> Tensor:
    if readout == "mean":
        return trace.model.project(tokens.mean(1))
    if readout == "cls":
        return trace.model.project(tokens[:, 0])
    return trace.model.readout(tokens)


def _mean_relu(record: LayerRecord, gradient: Tensor) -> Tensor:
    """Sum over queries, mean over heads of relu(dO V^T), in chunks of queries."""
    v = record.v.detach()
    left = (~record.masked).sum(1)[:, 0].clamp_min(1)
    total = v.new_zeros(v.shape[0], v.shape[2])
    for part in gradient.split(record.rows_at_once, dim=2):
        total = total + (part @ v.transpose(-2, -1)).relu().sum(1).sum(1)
    return total / left
