// Of very many images a fixed choice is drawn; more of them come where the map is enlarged.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { decode } from "../../protocol/safetensors";
import type { StoredPoints, StoredPointsMetadata } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { type Cloud, cloudOf } from "../../state/stored";
import { inSight, type Zoom } from "../../ui/use_zoom";

/** Asked once the map rests, in milliseconds. */
const RESTS = 150;
/** So much more than is shown on each side, as a share of it. */
const AROUND = 0.5;

interface Closer {
  cloud: Cloud;
  of: Cloud;
  left: number;
  right: number;
  bottom: number;
  top: number;
}

/** The cloud that is drawn: the whole one, or where it is one of many, what lies in sight. */
export function useCloser(store: Store, whole: Cloud, zoom: Zoom, wide: number): Cloud {
  const closer = useSignal<Closer | null>(null);
  const view = zoom.view.value;
  const fewer = whole.images.length < whole.total;
  const seen = useMemo(() => inSight(view, zoom.size.width, zoom.size.height), [view, zoom]);
  const has = closer.value;
  const covers =
    has !== null && has.of === whole && view.zoom > 1 &&
    has.left <= seen.left && has.right >= seen.right &&
    has.bottom <= seen.bottom && has.top >= seen.top; // biome-ignore format: a table
  useEffect(() => {
    if (!fewer || view.zoom === 1 || covers) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      const [w, h] = [(seen.right - seen.left) * AROUND, (seen.top - seen.bottom) * AROUND];
      const box = {
        left: seen.left - w,
        right: seen.right + w,
        bottom: seen.bottom - h,
        top: seen.top + h,
      };
      const asked = whole.box(box.left, box.right, box.bottom, box.top);
      try {
        const { buffer } = await store.requests.ask("stored_points", { ...asked }, abort.signal);
        const cloud = cloudOf(decode<StoredPoints, StoredPointsMetadata>(buffer), wide);
        if (cloud) closer.value = { cloud, of: whole, ...box };
      } catch {
        // the choice of all stays in view
      }
    }, RESTS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [store, whole, fewer, seen, covers, view.zoom, wide, closer]);
  return covers && has ? has.cloud : whole;
}
