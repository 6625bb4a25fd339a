// Attention sinks: patches that all tokens attend to, whatever is asked about. Many Vision
// Transformers park attention there (Xiao et al. 2024; Darcet et al. 2024 for those in the background).

/** So many times its share must a patch draw, over all heads and queries of a layer. */
const TIMES_ITS_SHARE = 12;

/** What each token draws of a layer's attention, as a multiple of an equal share. */
export function drawn(
  bytes: Uint8Array,
  scale: Float32Array,
  heads: number,
  tokens: number,
): Float32Array {
  const sums = new Float32Array(tokens);
  for (let row = 0; row < heads * tokens; row++) {
    const factor = (scale[row] ?? 0) / 255;
    const from = row * tokens;
    for (let key = 0; key < tokens; key++) {
      sums[key] = (sums[key] ?? 0) + (bytes[from + key] ?? 0) * factor;
    }
  }
  return sums.map((sum) => sum / heads); // the mean over queries, times the number of tokens
}

/** The patches among them that are sinks, as tokens. */
export function sinksOf(shares: Float32Array, prefix: number): number[] {
  return [...shares.keys()].filter(
    (token) => token >= prefix && (shares[token] ?? 0) >= TIMES_ITS_SHARE,
  );
}
