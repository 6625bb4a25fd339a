// What follows from a store, computed once for all views and handlers, however often it is read.

import { computed, type ReadonlySignal } from "@preact/signals";
import type { Store } from "./store";

export function derived<T>(derive: (store: Store) => T): (store: Store) => T {
  const known = new WeakMap<Store, ReadonlySignal<T>>();
  return (store) => {
    const value = known.get(store) ?? computed(() => derive(store));
    known.set(store, value);
    return value.value;
  };
}
