// What is used of ONNX Runtime Web, whose files lie beside the page and are no part of the bundle.

export class Tensor {
  constructor(type: "float32", data: Float32Array, dims: number[]);
  readonly data: Float32Array;
}
export interface Session {
  run(feeds: Record<string, Tensor>, outputs: string[]): Promise<Record<string, Tensor>>;
}
export const InferenceSession: {
  create(url: string, options: { executionProviders: string[] }): Promise<Session>;
};
export const env: { wasm: { numThreads: number; wasmPaths: Record<string, string> } };
