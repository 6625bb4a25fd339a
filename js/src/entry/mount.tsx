// Gives a view to anywidget: one store a model, one tree a place where it is shown.

import { type ComponentType, render as draw } from "preact";
import type { AnyModel } from "../protocol/model";
import { Store } from "../state/store";
import type { ViewProps } from "../ui/view";
import { Shell } from "../views/shell/shell";
import { isolated } from "./isolate";
import { keepKeys } from "./keys_inside";
import { Stores } from "./stores";
import { Views } from "./views";

interface Host {
  model: AnyModel;
  el: HTMLElement;
  signal: AbortSignal;
}

/** anywidget's lifecycle for a view that is a function of the store. */
export function widget(View: ComponentType<ViewProps>, title: string) {
  const stores = new Stores();
  const viewsOf = new WeakMap<Store, Views>();
  return {
    initialize({ model, signal }: Host) {
      stores.open(model, signal);
      model.set("_view_count", 0); // a page that was left could not take its views away
      model.save_changes();
    },
    render({ model, el, signal }: Host) {
      const life = new AbortController();
      const store = stores.find(model) ?? new Store(model, life.signal); // then for this view alone
      el.classList.add("vaw");
      const home = isolated(el, model, life.signal);
      draw(
        <Shell store={store} title={title}>
          <View store={store} />
        </Shell>,
        home,
      );
      const views = viewsOf.get(store) ?? new Views();
      viewsOf.set(store, views);
      keepKeys(el, life.signal, () => views.standing());
      const close = () => {
        closed();
        draw(null, home);
        life.abort();
      };
      const closed = views.add(el, close);
      signal.addEventListener("abort", close, { signal: life.signal });
      return close;
    },
  };
}
