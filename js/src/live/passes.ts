// What the graphs of `live/model.py` give. Tensors are flat, in the order that their comments say;
// the class token comes before the patches.

export interface Size {
  layers: number;
  heads: number;
  /** With the class token. */
  tokens: number;
  /** Of a head. */
  dim: number;
  /** Of a token. */
  width: number;
  classes: number;
  rows: number;
  cols: number;
}

/** What a pass gives. */
export interface Forward {
  /** [class] */
  logits: Float32Array;
  /** [layer, width], the class token after each layer. */
  class_tokens: Float32Array;
  /** [layer, token, class], what each token would decide. */
  token_logits: Float32Array;
  /** [layer, head, token, dim] */
  q: Float32Array;
  k: Float32Array;
  v: Float32Array;
  /** The same; 0 where masked. */
  heads: Float32Array;
}

/** Gradients of the logit of a class. */
export interface Gradients {
  /** [layer, head, token, dim], by the head outputs. */
  heads_gradient: Float32Array;
  /** [layer, head, dim], by those of the class token, of what the layer itself would decide. */
  own_gradient: Float32Array;
  /** [layer, token, width], what the attention is given. */
  normed: Float32Array;
  normed_gradient: Float32Array;
}
