// The model, which runs in a worker so that the page never waits for it.

import type { Head } from "../protocol/schema";
import type { Forward, Gradients, Size } from "./passes";

export type Graph = "forward" | "gradients";

export interface Feed {
  data: Float32Array;
  dims: number[];
}

export interface Asked {
  id: number;
  graph: Graph;
  feeds: Record<string, Feed>;
  outputs: string[];
}

export type Answered =
  | { id: number; outputs: Record<string, Float32Array>; milliseconds: number }
  | { id: number; error: string };

const FORWARD = ["logits", "class_tokens", "token_logits", "q", "k", "v", "heads"];
const GRADIENTS = ["heads_gradient", "own_gradient", "normed", "normed_gradient"];

const PICTURE = "images_gradient";

/** What comes of some masked heads, for one of several variants. */
export interface Outcome {
  logits: Float32Array;
  /** [layer, width] */
  class_tokens: Float32Array;
}

export interface Variant {
  input: Float32Array;
  masked: readonly Head[];
}

export class Network {
  private readonly waiting = new Map<number, [(value: never) => void, (reason: Error) => void]>();
  private count = 0;
  /** Why nothing is answered any more. */
  private lost: Error | null = null;
  /** That the model itself took for its last run. */
  milliseconds = 0;

  constructor(
    private readonly worker: Worker,
    private readonly size: Size,
    /** [channel, height, width] of a picture. */
    private readonly shape: readonly [number, number, number],
  ) {
    worker.addEventListener("message", ({ data }: MessageEvent<Answered>) => this.take(data));
    worker.addEventListener("error", ({ message }) => this.fail(message));
  }

  /** Whether it was asked for more than it has answered. */
  get busy(): boolean {
    return this.waiting.size > 0;
  }

  /** Runs a graph: tensors by name, or why not. */
  run(
    graph: Graph,
    feeds: Record<string, Feed>,
    outputs: string[],
  ): Promise<Record<string, Float32Array>> {
    if (this.lost) return Promise.reject(this.lost);
    this.count += 1;
    const id = this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, [resolve, reject]);
      this.worker.postMessage({ id, graph, feeds, outputs } satisfies Asked);
    });
  }

  /** One pass over one picture, with all that it computes. */
  async forward(variant: Variant): Promise<Forward> {
    return (await this.run("forward", this.feeds([variant]), FORWARD)) as unknown as Forward;
  }

  /** Passes over several pictures, or with several masks, of which the decision counts. */
  async outcomes(variants: Variant[]): Promise<Outcome[]> {
    const outputs = await this.run("forward", this.feeds(variants), ["logits", "class_tokens"]);
    const { classes, layers, width } = this.size;
    return variants.map((_, i) => ({
      logits: (outputs.logits as Float32Array).subarray(i * classes, (i + 1) * classes),
      class_tokens: (outputs.class_tokens as Float32Array).subarray(
        i * layers * width,
        (i + 1) * layers * width,
      ),
    }));
  }

  async gradients(input: Float32Array, masked: readonly Head[], of: number): Promise<Gradients> {
    const feeds = this.feedsOf(input, masked, of);
    return (await this.run("gradients", feeds, GRADIENTS)) as unknown as Gradients;
  }

  /** The gradient of a class's logit by the picture, [channel, row, col]. */
  async pictureGradient(
    input: Float32Array,
    masked: readonly Head[],
    of: number,
  ): Promise<Float32Array> {
    const outputs = await this.run("gradients", this.feedsOf(input, masked, of), [PICTURE]);
    return outputs[PICTURE] as Float32Array;
  }

  private feedsOf(input: Float32Array, masked: readonly Head[], of: number): Record<string, Feed> {
    const target = new Float32Array(this.size.classes);
    target[of] = 1;
    const feed = { data: target, dims: [1, this.size.classes] };
    return { ...this.feeds([{ input, masked }]), target: feed };
  }

  private feeds(variants: Variant[]): Record<string, Feed> {
    const { layers, heads } = this.size;
    const [channels, height, width] = this.shape;
    const images = new Float32Array(variants.length * channels * height * width);
    const kept = new Float32Array(variants.length * layers * heads).fill(1);
    variants.forEach(({ input, masked }, i) => {
      images.set(input, i * input.length);
      for (const [layer, head] of masked) kept[(i * layers + layer) * heads + head] = 0;
    });
    return {
      images: { data: images, dims: [variants.length, ...this.shape] },
      kept: { data: kept, dims: [variants.length, layers, heads] },
    };
  }

  private take(answer: Answered): void {
    const [resolve, reject] = this.waiting.get(answer.id) ?? [];
    this.waiting.delete(answer.id);
    if ("error" in answer) {
      reject?.(new Error(answer.error));
    } else {
      this.milliseconds = answer.milliseconds;
      resolve?.(answer.outputs as never);
    }
  }

  private fail(message: string): void {
    const reason = new Error(`The model could not be loaded: ${message || "see the console"}.`);
    this.lost = reason;
    for (const [, reject] of this.waiting.values()) reject(reason);
    this.waiting.clear();
  }
}
