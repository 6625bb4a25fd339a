// A folder that fills is looked at again and again, as long as somebody sees what it says.

import { useEffect } from "preact/hooks";
import type { Store } from "../state/store";
import { storedOf } from "../state/stored";

const FILLS = 2000;
const RESTS = 10_000;
/** An answer that has not come by then was lost. */
const LOST = 60_000;

export function useLooking(store: Store, wanted = true): void {
  const there = storedOf(store.traits._stored.value) !== null && !store.saved && wanted;
  useEffect(() => {
    if (!there) return;
    let timer: ReturnType<typeof setTimeout>;
    // one question at a time: while the kernel is busy, they would pile up
    let asked = Number.NEGATIVE_INFINITY;
    let before = -1;
    const look = async () => {
      const { count = 0, total = 0 } = storedOf(store.traits._stored.peek()) ?? {};
      timer = setTimeout(look, count === (total ?? before) ? RESTS : FILLS);
      before = count;
      const now = performance.now();
      if (now < asked + LOST || document.hidden || store.disconnected.peek()) return;
      asked = now;
      await store.request("stored_look", {});
      asked = Number.NEGATIVE_INFINITY;
    };
    look();
    return () => clearTimeout(timer);
  }, [store, there]);
}
