// Gives a view to anywidget: one store a model, one tree a place where it is shown.

import { type ComponentType, render as draw } from "preact";
import type { AnyModel } from "../protocol/model";
import { Store } from "../state/store";
import type { ViewProps } from "../ui/view";
import { Shell } from "../views/shell/shell";

interface Host {
  model: AnyModel;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** anywidget's lifecycle for a view that is a function of the store. */
export function widget(View: ComponentType<ViewProps>, title: string) {
  const stores = new WeakMap<AnyModel, Store>();
  const storeOf = (model: AnyModel, signal: AbortSignal) => {
    const known = stores.get(model);
    if (known) return known;
    const store = new Store(model, signal);
    stores.set(model, store);
    return store;
  };
  return {
    initialize({ model, signal }: Host) {
      storeOf(model, signal ?? new AbortController().signal);
    },
    render({ model, el, signal }: Host) {
      const store = storeOf(model, signal ?? new AbortController().signal);
      el.classList.add("vaw");
      draw(
        <Shell store={store} title={title}>
          <View store={store} />
        </Shell>,
        el,
      );
      const close = () => draw(null, el);
      signal?.addEventListener("abort", close);
      return close;
    },
  };
}
