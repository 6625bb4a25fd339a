// Questions to the kernel over custom messages. Each gets exactly one answer, or is given up.

import type { AnyModel } from "./model";
import type {
  AnswerMeta,
  CancelMessage,
  ReplyMessage,
  RequestMessage,
  Requests as Schema,
} from "./schema";

export type Method = keyof Schema;

/** What the kernel answers: a buffer, where the request is for one. */
export interface Reply<M extends Method> {
  meta: AnswerMeta;
  buffer: Schema[M]["buffer"];
}

/** Requests whose result comes as a trait. */
export type Starting = { [M in Method]: Schema[M]["buffer"] extends null ? M : never }[Method];

export type Params<M extends Method> = Schema[M]["params"];

/** The kernel dropped a question because something newer took its place: no fault. */
export class Dropped extends Error {}

/** What hosts hand on of a message's bytes: Jupyter a DataView, Colab a Uint8Array. */
type Bytes = ArrayBufferView | ArrayBuffer;

function viewOf(bytes: Bytes | undefined): DataView | null {
  if (bytes === undefined) return null;
  if (bytes instanceof DataView) return bytes; // its type says what it holds
  if (!ArrayBuffer.isView(bytes)) return new DataView(bytes);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

interface Waiting {
  method: Method;
  resolve: (reply: Reply<Method>) => void;
  reject: (reason: Error) => void;
}

export class Requests {
  private readonly waiting = new Map<string, Waiting>();
  private count = 0;
  /** Messages that wait until the kernel is known to be there; null where they need not. */
  private held: (() => void)[] | null = null;
  /** Why nothing can be asked; "" while it can. */
  private refusal = "";

  constructor(
    private readonly model: AnyModel,
    signal: AbortSignal,
    /** Told when a message could not be sent. */
    private readonly onLost: () => void = () => undefined,
  ) {
    const listener = (message: ReplyMessage, buffers?: Bytes[]) => this.answer(message, buffers);
    model.on("msg:custom", listener);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", listener);
      this.giveUp("The widget was closed.");
    });
  }

  /** Whether something was asked for that did not come yet. */
  get areWaiting(): boolean {
    return [...this.waiting.values()].some(({ method }) => method !== "alive");
  }

  /** Keep what is asked until `release`: a host may drop what is said before it is connected. */
  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const send of held) send();
  }

  /** Nothing is answered from now on, and what waits for an answer is told why; "" to ask again. */
  refuse(reason: string): void {
    this.refusal = reason;
    if (reason) this.giveUp(reason);
  }

  private giveUp(reason: string): void {
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new Error(reason));
  }

  /** Whether it could be sent: a host refuses where the kernel no longer knows the widget. */
  private sent(message: RequestMessage | CancelMessage, buffer?: ArrayBuffer): boolean {
    try {
      if (buffer) this.model.send(message, undefined, [buffer]);
      else this.model.send(message);
      return true;
    } catch {
      this.onLost();
      return false;
    }
  }

  ask<M extends Method>(
    method: M,
    params: Params<M>,
    signal?: AbortSignal,
    buffer?: ArrayBuffer,
  ): Promise<Reply<M>> {
    this.count += 1;
    if (this.refusal && method !== "alive") return Promise.reject(new Error(this.refusal));
    const id = `${Math.random().toString(36).slice(2)}-${this.count}`;
    return new Promise((resolve, reject) => {
      const stop = () => {
        if (!this.waiting.delete(id)) return;
        this.sent({ cancel: id });
        reject(new Error("No longer wanted."));
      };
      const ends = <T>(end: (value: T) => void) => {
        return (value: T) => {
          signal?.removeEventListener("abort", stop);
          end(value);
        };
      };
      const take = resolve as Waiting["resolve"]; // the kernel answers what was asked
      this.waiting.set(id, { method, resolve: ends(take), reject: ends(reject) });
      signal?.addEventListener("abort", stop);
      const message = { id, method, params: { ...params } } satisfies RequestMessage;
      const send = () => {
        if (this.waiting.has(id) && !this.sent(message, buffer) && this.waiting.delete(id)) {
          reject(new Error("The kernel could not be reached."));
        }
      };
      if (this.held && method !== "alive") this.held.push(send);
      else send();
    });
  }

  private answer(message: ReplyMessage, buffers: Bytes[] = []): void {
    const waiting = message.id === null ? undefined : this.waiting.get(message.id);
    if (waiting === undefined || message.id === null) return;
    this.waiting.delete(message.id);
    if ("ok" in message) waiting.resolve({ meta: message.meta, buffer: viewOf(buffers[0]) });
    else if ("error" in message) waiting.reject(new Error(message.error.message));
    else waiting.reject(new Dropped("Cancelled."));
  }
}
