// Runs the graphs by ONNX Runtime's plain WebAssembly: one thread, so no host needs special headers.

import type { Answered, Asked, Graph } from "./network";
import { env, InferenceSession, type Session, Tensor } from "./ort.js";

const beside = (name: string) => new URL(name, import.meta.url).href;

env.wasm.numThreads = 1;
env.wasm.wasmPaths = { wasm: beside("ort-wasm-simd-threaded.wasm") };

const sessions = new Map<Graph, Promise<Session>>();
// One after another, as they were asked: a session runs once at a time.
let last: Promise<unknown> = Promise.resolve();

function session(graph: Graph): Promise<Session> {
  const kept = sessions.get(graph);
  if (kept) return kept;
  const made = InferenceSession.create(beside(`${graph}.onnx`), { executionProviders: ["wasm"] });
  sessions.set(graph, made);
  return made;
}

async function run({ id, graph, feeds, outputs }: Asked): Promise<Answered> {
  try {
    const ready = await session(graph);
    const tensors = Object.entries(feeds).map(([name, { data, dims }]) => {
      return [name, new Tensor("float32", data, dims)] as const;
    });
    const started = performance.now();
    const result = await ready.run(Object.fromEntries(tensors), outputs);
    const milliseconds = performance.now() - started;
    const arrays = outputs.map((name) => [name, (result[name] as Tensor).data.slice()] as const);
    return { id, outputs: Object.fromEntries(arrays), milliseconds };
  } catch (error) {
    sessions.delete(graph);
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

self.addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  last = last.then(async () => self.postMessage(await run(data)));
});
