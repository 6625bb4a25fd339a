// Draws the widgets of a page from what stands in it.

import type { AnyModel } from "../protocol/model";
import { type Head, SELECTIONS } from "../protocol/schema";
import { BakedKernel, type BakedSession, type Recorded } from "./baked";
import type { PageDocument } from "./document";
import { inflated, read } from "./encoding";
import { PageSession } from "./session";

type Values = Record<string, unknown>;

interface BakedWidget {
  /** Name of its code. */
  stem: string;
  session: number;
  /** Traits that it shares with no other widget. */
  own: Values;
}

/** What the first part of a page holds. */
export interface BakedPage {
  sessions: BakedSession[];
  widgets: BakedWidget[];
}

interface Lifecycle {
  initialize(host: { model: AnyModel; signal: AbortSignal }): void;
  render(host: { model: AnyModel; el: HTMLElement; signal: AbortSignal }): unknown;
}

/** What may be told of a session or widget when it is saved. */
interface Selected {
  sessions: Values[];
  widgets: Values[];
}

const OWN = ["panels", "tour_step"];
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export async function open(file: PageDocument, places: Iterable<HTMLElement>): Promise<void> {
  const page = await read<BakedPage>(file.part(0));
  const css = document.querySelector("style[data-vaw-style]")?.textContent ?? "";
  const selected: Selected | null = file.selected
    ? JSON.parse(text(await inflated(file.selected)))
    : null;
  const models: AnyModel[] = [];
  const sessions = page.sessions.map((baked, i) => {
    const kept = { ...baked, pruned: baked.values.pruned_heads as Head[] };
    let last: [number, Promise<Recorded[]>] | undefined;
    const part = (number: number) => {
      if (last?.[0] !== number) last = [number, read<Recorded[]>(file.part(number))];
      return last[1];
    };
    const session = new PageSession(baked.values as Values, (publish) => {
      return new BakedKernel(kept, part, publish, () => file.file(now()));
    });
    return { session, chosen: selected?.sessions[i] };
  });
  const now = (): Selected => ({
    sessions: sessions.map(({ session }) => picked(session.traits, SELECTIONS)),
    widgets: models.map((model) => Object.fromEntries(OWN.map((name) => [name, model.get(name)]))),
  });
  for (const { session, chosen } of sessions) {
    if (chosen) session.choose(chosen);
  }
  const signal = new AbortController().signal;
  const codes = new Map<string, Promise<Lifecycle>>();
  let i = 0;
  for (const el of places) {
    const widget = page.widgets[i] as BakedWidget;
    const ownTraits = {
      ...widget.own,
      ...selected?.widgets[i],
      _css: css,
      _widget_id: `widget ${i}`,
    };
    const { session } = sessions[widget.session] as { session: PageSession };
    const model = session.model(ownTraits);
    models.push(model);
    const code = codes.get(widget.stem) ?? load(file.code(widget.stem));
    codes.set(widget.stem, code);
    const { initialize, render } = await code;
    initialize({ model, signal });
    render({ model, el, signal });
    i += 1;
  }
}

async function load(base64: string): Promise<Lifecycle> {
  const url = URL.createObjectURL(new Blob([await inflated(base64)], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  return widget;
}

const picked = (values: Values, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, values[name]]));
