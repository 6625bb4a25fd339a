// Questions to the kernel over custom messages. Each gets exactly one answer, or is given up.

import type { AnyModel } from "./model";

interface Answer {
  id?: string;
  ok?: boolean;
  meta?: Record<string, unknown>;
  error?: { message: string; hint: string };
  cancelled?: boolean;
  progress?: number;
}

export interface Reply {
  meta: Record<string, unknown>;
  buffers: DataView[];
}

/** The kernel dropped a question because something newer took its place: no fault. */
export class Dropped extends Error {}

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (reason: Error) => void;
}

export class Requests {
  private readonly waiting = new Map<string, Waiting>();
  private count = 0;

  constructor(
    private readonly model: AnyModel,
    signal: AbortSignal,
  ) {
    const listener = (message: Answer, buffers: DataView[]) => this.answer(message, buffers);
    model.on("msg:custom", listener);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", listener);
      for (const { reject } of this.waiting.values()) reject(new Error("The widget was closed."));
      this.waiting.clear();
    });
  }

  ask(method: string, params: Record<string, unknown>, signal?: AbortSignal): Promise<Reply> {
    this.count += 1;
    const id = `${Math.random().toString(36).slice(2)}-${this.count}`;
    return new Promise((resolve, reject) => {
      const stop = () => {
        if (!this.waiting.delete(id)) return;
        this.model.send({ cancel: id });
        reject(new Error("No longer wanted."));
      };
      const ends = <T>(end: (value: T) => void) => {
        return (value: T) => {
          signal?.removeEventListener("abort", stop);
          end(value);
        };
      };
      this.waiting.set(id, { resolve: ends(resolve), reject: ends(reject) });
      signal?.addEventListener("abort", stop);
      this.model.send({ id, method, params });
    });
  }

  private answer(message: Answer, buffers: DataView[]): void {
    const waiting = message.id === undefined ? undefined : this.waiting.get(message.id);
    if (waiting === undefined || message.id === undefined || message.progress !== undefined) return;
    this.waiting.delete(message.id);
    if (message.ok) waiting.resolve({ meta: message.meta ?? {}, buffers });
    else if (message.error) waiting.reject(new Error(message.error.message));
    else waiting.reject(new Dropped("Cancelled."));
  }
}
