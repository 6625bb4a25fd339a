// One store for each widget's model, however many views show it.
//
// The host hands `initialize` and every `render` a new proxy of the model, so it is known by the id
// that the kernel gave it, within the host's manager: copies of a saved notebook share ids. Exported
// pages have no ids, and hand the same object to every view.

import type { AnyModel } from "../protocol/model";
import { Store } from "../state/store";

export class Stores {
  private readonly byManager = new WeakMap<object, Map<unknown, Store>>();

  /** Makes the store of a model, which lives until the signal. */
  open(model: AnyModel, signal: AbortSignal): Store {
    const stores = this.of(model);
    const key = keyOf(model);
    const store = new Store(model, signal);
    stores.set(key, store);
    signal.addEventListener("abort", () => stores.delete(key));
    return store;
  }

  find(model: AnyModel): Store | undefined {
    return this.of(model).get(keyOf(model));
  }

  private of({ widget_manager: manager = NO_MANAGER }: AnyModel): Map<unknown, Store> {
    const kept = this.byManager.get(manager);
    if (kept) return kept;
    const stores = new Map<unknown, Store>();
    this.byManager.set(manager, stores);
    return stores;
  }
}

const NO_MANAGER = {};

const keyOf = (model: AnyModel): unknown => model.get("_widget_id") || model;
