// A folder that fills is looked at again and again, as long as somebody sees what it says.

import { useEffect } from "preact/hooks";
import type { Store } from "../state/store";
import { storedOf } from "../state/stored";

const FILLS = 2000;
const RESTS = 10_000;
/** An answer that has not come by then is waited for no longer. */
const LOST = 60_000;

export function useLooking(store: Store, wanted = true): void {
  const there = storedOf(store.traits._stored.value) !== null && !store.saved && wanted;
  useEffect(() => {
    if (!there) return;
    let timer: ReturnType<typeof setTimeout>;
    let asked = Number.NEGATIVE_INFINITY;
    let before = -1;
    const look = () => {
      const { count = 0, total = 0 } = storedOf(store.traits._stored.peek()) ?? {};
      const fills = total === null ? count !== before : count !== total;
      before = count;
      const now = performance.now();
      // one at a time: while the kernel is busy, questions would pile up
      if (!document.hidden && !store.disconnected.peek() && now > asked + LOST) {
        asked = now;
        store.request("stored_look", {}).then(() => {
          asked = Number.NEGATIVE_INFINITY;
        });
      }
      timer = setTimeout(look, fills ? FILLS : RESTS);
    };
    look();
    return () => clearTimeout(timer);
  }, [store, there]);
}
