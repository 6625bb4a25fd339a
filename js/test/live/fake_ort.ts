// Stands for ONNX Runtime Web, which lies beside the built page only.

import { vi } from "vitest";

export const env = { wasm: {} };
export const create = vi.fn();
export const InferenceSession = { create };

export class Tensor {
  constructor(
    readonly type: string,
    readonly data: Float32Array,
  ) {}
}
