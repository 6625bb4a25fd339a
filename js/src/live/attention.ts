// Attention in the form in which the views take it, as in `session/payloads.py`.

import type { AttentionLayer, AttentionRows, Direction, RowsMetadata } from "../protocol/schema";
import { at } from "./numbers";
import { bytes, encode, floats, quantized } from "./tensors";
import type { Trace } from "./trace";

/** Of one token in every head: its row or column. */
export function attentionRows(trace: Trace, token: number, direction: Direction): DataView {
  const { layers, heads, tokens } = trace.size;
  const rows = new Float32Array(layers * heads * tokens);
  for (let i = 0; i < layers * heads; i++) {
    const all = trace.attention(Math.floor(i / heads));
    const start = (i % heads) * tokens * tokens;
    for (let other = 0; other < tokens; other++) {
      const [query, key] = direction === "attends_to" ? [token, other] : [other, token];
      rows[i * tokens + other] = at(all, start + query * tokens + key);
    }
  }
  const { data, scale } = quantized(rows, tokens);
  const tensors: AttentionRows = {
    rows: bytes([layers, heads, tokens], data),
    scale: floats([layers, heads], scale),
  };
  return encode<AttentionRows, RowsMetadata>(tensors, { token, direction, first_layer: 0 });
}

/** Of every head of a layer. */
export function attentionLayer(trace: Trace, layer: number): DataView {
  const { heads, tokens } = trace.size;
  const { data, scale } = quantized(trace.attention(layer), tokens);
  const tensors: AttentionLayer = {
    attention: bytes([heads, tokens, tokens], data),
    scale: floats([heads, tokens], scale),
  };
  return encode(tensors);
}
