// The page's side and the worker's side of what they say to each other.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Answered, type Asked, type Feed, Network } from "../../src/live/network";
import { create } from "./fake_ort";

const SIZE = {
  layers: 2,
  heads: 2,
  tokens: 5,
  dim: 1,
  width: 3,
  classes: 2,
  rows: 2,
  cols: 2,
};
const PICTURE = Float32Array.from({ length: 3 * 4 }, (_, i) => i);

/** A worker that a test answers for. */
class FakeWorker extends EventTarget {
  readonly asked: Asked[] = [];

  postMessage(message: Asked) {
    this.asked.push(message);
  }

  says(data: Answered) {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
}

const started = () => {
  const worker = new FakeWorker();
  return { worker, network: new Network(worker as unknown as Worker, SIZE, [3, 2, 2]) };
};

describe("the network", () => {
  it("asks with all pictures and the heads that are kept", async () => {
    const { worker, network } = started();
    const outcomes = network.outcomes([
      { input: PICTURE, masked: [[1, 0]] },
      { input: PICTURE, masked: [] },
    ]);
    const [asked] = worker.asked as [Asked];
    expect(asked.feeds.images?.dims).toEqual([2, 3, 2, 2]);
    expect([...(asked.feeds.kept?.data ?? [])]).toEqual([1, 1, 0, 1, 1, 1, 1, 1]);
    worker.says({
      id: asked.id,
      milliseconds: 7,
      outputs: {
        logits: Float32Array.of(1, 2, 3, 4),
        class_tokens: Float32Array.from({ length: 12 }, (_, i) => i),
      },
    });
    const [first, second] = await outcomes;
    expect([...(first?.logits ?? [])]).toEqual([1, 2]);
    expect([...(second?.class_tokens ?? [])]).toEqual([6, 7, 8, 9, 10, 11]);
    expect(network.milliseconds).toBe(7);
  });

  it("gives every answer to its own question, and the gradient of one class", async () => {
    const { worker, network } = started();
    const first = network.pictureGradient(PICTURE, [], 0);
    const second = network.pictureGradient(PICTURE, [], 1);
    const [a, b] = worker.asked as [Asked, Asked];
    expect([...(b.feeds.target?.data ?? [])]).toEqual([0, 1]);
    worker.says({ id: b.id, milliseconds: 1, outputs: { images_gradient: Float32Array.of(2) } });
    worker.says({ id: a.id, milliseconds: 1, outputs: { images_gradient: Float32Array.of(1) } });
    expect([...(await first)]).toEqual([1]);
    expect([...(await second)]).toEqual([2]);
  });

  it("says why there is no answer", async () => {
    const { worker, network } = started();
    const refused = network.pictureGradient(PICTURE, [], 0);
    worker.says({ id: worker.asked[0]?.id ?? 0, error: "no such graph" });
    await expect(refused).rejects.toThrow("no such graph");
    const lost = network.pictureGradient(PICTURE, [], 0);
    worker.dispatchEvent(new ErrorEvent("error", { message: "404" }));
    await expect(lost).rejects.toThrow("The model could not be loaded: 404.");
    const later = network.pictureGradient(PICTURE, [], 0);
    await expect(later).rejects.toThrow("The model could not be loaded: 404.");
  });
});

describe("the worker", () => {
  const said: Answered[] = [];
  const ask = (id: number) => {
    const images = { data: Float32Array.of(id), dims: [1] };
    const data: Asked = { id, graph: "forward", feeds: { images }, outputs: ["logits"] };
    self.dispatchEvent(new MessageEvent("message", { data }));
  };

  beforeEach(async () => {
    said.length = 0;
    create.mockReset();
    self.postMessage = ((answer: Answered) => said.push(answer)) as typeof self.postMessage;
    await import("../../src/live/worker");
  });

  it("tries a graph again that could not be loaded, and then loads it once", async () => {
    const run = async ({ images }: { images: Feed }) => ({ logits: { data: images.data } });
    create.mockRejectedValueOnce(new Error("404")).mockResolvedValue({ run });
    ask(1);
    ask(2);
    ask(3);
    await vi.waitFor(() => expect(said).toHaveLength(3));
    expect(said[0]).toEqual({ id: 1, error: "404" });
    expect(said.slice(1)).toMatchObject([
      { id: 2, outputs: { logits: Float32Array.of(2) } },
      { id: 3, outputs: { logits: Float32Array.of(3) } },
    ]);
    expect(create).toHaveBeenCalledTimes(2);
  });
});
