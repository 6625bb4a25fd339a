// A folder that fills is looked at again and again, as long as somebody sees what it says.

import { useEffect } from "preact/hooks";
import type { Store } from "../state/store";
import { storedOf } from "../state/stored";

const FILLS = 2000;
const RESTS = 10_000;

export function useLooking(store: Store, wanted = true): void {
  const there = storedOf(store.traits._stored.value) !== null && !store.saved && wanted;
  useEffect(() => {
    if (!there) return;
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      const stored = storedOf(store.traits._stored.peek());
      const fills = stored !== null && stored.count !== stored.total;
      if (!document.hidden && !store.disconnected.peek()) store.request("stored_look", {});
      timer = setTimeout(look, fills ? FILLS : RESTS);
    };
    look();
    return () => clearTimeout(timer);
  }, [store, there]);
}
