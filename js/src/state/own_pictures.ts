// Pictures that a person brings along: sent to the kernel in parts, which reads and looks at them.

import { type Signal, signal } from "@preact/signals";
import { MOST_BYTES } from "../protocol/schema";
import type { Store } from "./store";

/** Bytes of a part; the kernel and Jupyter's websockets take twice as many. */
const PART = 4_000_000;

export interface Bringing {
  /** Share that was sent, null while nothing is. */
  progress: Signal<number | null>;
  /** Why the last one was not looked at; "" if it was. */
  problem: Signal<string>;
  stop: () => void;
}

const all = new WeakMap<Store, Bringing & { abort: AbortController }>();

/** What is being brought to a store, shared by all views. */
export function bringingOf(store: Store): Bringing & { abort: AbortController } {
  const kept = all.get(store);
  if (kept) return kept;
  const made = {
    progress: signal<number | null>(null),
    problem: signal(""),
    abort: new AbortController(),
    stop: () => made.abort.abort(),
  };
  all.set(store, made);
  return made;
}

/** Sends a file's bytes to the kernel, which looks at the picture; what was on its way is given up. */
export async function bring(store: Store, file: File): Promise<void> {
  const state = bringingOf(store);
  state.stop();
  const abort = new AbortController();
  state.abort = abort;
  const parts = Math.ceil(file.size / PART);
  const upload = Math.random().toString(36).slice(2);
  state.problem.value = "";
  try {
    const megabytes = Math.ceil(file.size / 1e6);
    if (file.size > MOST_BYTES) {
      throw new Error(
        `${file.name} has ${megabytes} MB: at most ${MOST_BYTES / 1e6} MB are taken.`,
      );
    }
    if (parts === 0) throw new Error(`${file.name} is empty.`);
    state.progress.value = 0;
    for (let part = 0; part < parts; part++) {
      const bytes = await file.slice(part * PART, (part + 1) * PART).arrayBuffer();
      const params = { upload, name: file.name, part, parts };
      await store.requests.ask("bring_picture", params, abort.signal, bytes);
      if (state.abort === abort) state.progress.value = (part + 1) / parts;
    }
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    if (!abort.signal.aborted) state.problem.value = said;
  }
  if (state.abort === abort) state.progress.value = null;
}

/** The picture among what is dropped or pasted; a file whose kind is not known may be one. */
export function pictureAmong(transfer: DataTransfer | null): File | null {
  const files = [...(transfer?.files ?? [])];
  return files.find(({ type }) => type === "" || type.startsWith("image/")) ?? null;
}
