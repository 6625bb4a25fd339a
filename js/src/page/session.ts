// A session in a page without Python: the traits that its widgets share, and the models that give
// them to anywidget's lifecycle, as a notebook would.

import type { AnyModel, Page } from "../protocol/model";
import type { Method, Params } from "../protocol/requests";
import type { CancelMessage, ReplyMessage, RequestMessage } from "../protocol/schema";
import type { Selected, Traits } from "../protocol/traits";
import type { PageKernel, Publish } from "./kernel";

type Values = Record<string, unknown>;
// biome-ignore lint/suspicious/noExplicitAny: whatever belongs to the event
type Listener = (...values: any[]) => void;

export class PageSession {
  private readonly kernel: PageKernel;
  private readonly models: PageModel[] = [];

  /** `traits` are those that all widgets of the session have in common. */
  constructor(
    readonly traits: Values,
    start: (publish: Publish) => PageKernel,
  ) {
    this.kernel = start((changes) => this.publish(changes));
  }

  /** A widget's model; `own` are the traits that it shares with no other. */
  model(own: Values): AnyModel {
    const model = new PageModel(this.traits, own, this.kernel, (changes, from) => {
      this.spread(changes, from);
      this.kernel.select(changes as Partial<Selected>);
    });
    this.models.push(model);
    return model;
  }

  /** Selects what was selected when the page was saved, as far as it can be followed. */
  choose(changes: Values): void {
    if (!this.kernel.follows(changes)) return;
    Object.assign(this.traits, changes);
    this.kernel.select(changes);
  }

  private publish(changes: Partial<Traits>): void {
    Object.assign(this.traits, changes);
    this.spread(changes);
  }

  private spread(changes: object, from?: PageModel): void {
    for (const model of this.models) {
      if (model !== from) for (const name in changes) model.emit(`change:${name}`);
    }
  }
}

class PageModel implements AnyModel {
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly waiting = new Map<string, AbortController>();
  private changes: Values = {};

  constructor(
    private readonly shared: Values,
    private readonly own: Values,
    private readonly kernel: PageKernel,
    private readonly chose: (changes: Values, from: PageModel) => void,
  ) {}

  get page(): Page {
    return this.kernel;
  }

  get(name: string): unknown {
    return name in this.own ? this.own[name] : this.shared[name];
  }

  set(name: string, value: unknown): void {
    if (name in this.shared) this.changes[name] = this.shared[name] = value;
    else this.own[name] = value;
    this.emit(`change:${name}`);
  }

  save_changes(): void {
    const changes = this.changes;
    this.changes = {};
    if (Object.keys(changes).length > 0) this.chose(changes, this);
  }

  on(event: string, listener: Listener): void {
    const listeners = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, listeners.add(listener));
  }

  off(event: string, listener: Listener): void {
    this.listeners.get(event)?.delete(listener);
  }

  emit(event: string, ...values: unknown[]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(...values);
  }

  send(message: RequestMessage | CancelMessage, _: unknown, buffers?: ArrayBuffer[]): void {
    if ("cancel" in message) this.waiting.get(message.cancel)?.abort();
    else this.answer(message, buffers?.[0]);
  }

  private async answer({ id, method, params }: RequestMessage, sent?: ArrayBuffer): Promise<void> {
    const abort = new AbortController();
    this.waiting.set(id, abort);
    const asked = [method as Method, params as Params<Method>] as const;
    const version = this.shared._version as number;
    let reply: ReplyMessage;
    let bytes: DataView | null = null;
    try {
      bytes = await this.kernel.answer(...asked, abort.signal, sent);
      reply = { id, ok: true, meta: { version } };
    } catch (error) {
      reply = { id, error: { message: error instanceof Error ? error.message : String(error) } };
    }
    this.waiting.delete(id);
    if (abort.signal.aborted) reply = { id, cancelled: true };
    this.emit("msg:custom", reply, bytes ? [bytes] : []);
    performance.mark("answered");
  }
}
