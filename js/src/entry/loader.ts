// What a notebook sends as the code of each widget: the code itself is sent once, in a model of its
// own, and loaded once a page, which never lets go of a module.

import type { AnyModel } from "../protocol/model";

interface Host {
  model: AnyModel;
  el: HTMLElement;
  signal: AbortSignal;
}

interface Lifecycle {
  initialize(host: Host): void;
  render(host: Host): () => void;
}

const PAGE = globalThis as { vitAttentionWidgets?: Map<string, Promise<Lifecycle>> };
PAGE.vitAttentionWidgets ??= new Map();
const { vitAttentionWidgets: loaded } = PAGE;

async function load(script: string): Promise<Lifecycle> {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  return widget;
}

const NOT_REACHED =
  "The code of this widget is not on this page: run its cell again. Where the host lets no widget " +
  "reach another, restart the kernel with the environment variable VAW_INLINE=1.";

/** The widget's code, and its host with the sheet that comes with the code. */
async function withCode(host: Host): Promise<[Lifecycle, Host]> {
  const reference = String(host.model.get("_bundle")).slice("IPY_MODEL_".length);
  const bundle = await Promise.resolve(host.model.widget_manager?.get_model?.(reference)).catch(
    () => undefined,
  );
  const script = bundle?.get("script");
  const style = String(bundle?.get("style"));
  if (typeof script !== "string" || script === "") throw new Error(NOT_REACHED);
  if (!loaded.has(script)) loaded.set(script, load(script));
  if (!document.getElementById("vaw-style")) {
    const sheet = document.head.appendChild(document.createElement("style"));
    sheet.id = "vaw-style";
    sheet.textContent = style;
  }
  const get = (name: string) => (name === "_css" ? style : host.model.get(name));
  const model = { ...host.model, get };
  return [await (loaded.get(script) as Promise<Lifecycle>), { ...host, model }];
}

export default {
  async initialize(host: Host): Promise<void> {
    const code = await withCode(host).catch(() => null); // the view says why
    if (code && !host.signal.aborted) code[0].initialize(code[1]);
  },
  async render(host: Host): Promise<() => void> {
    try {
      const [widget, itself] = await withCode(host);
      return widget.render(itself);
    } catch (error) {
      host.el.textContent = error instanceof Error ? error.message : String(error);
      return () => undefined;
    }
  },
};
