// What follows from a store, computed once for all views and handlers, however often it is read.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { Store } from "./store";

export function derived<T>(derive: (store: Store) => T): (store: Store) => T {
  const signals = new WeakMap<Store, ReadonlySignal<T>>();
  return (store) => {
    const value = signals.get(store) ?? computed(() => derive(store));
    signals.set(store, value);
    return value.value;
  };
}
