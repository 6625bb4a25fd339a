// What the map of patterns asks the kernel for: the map, and pictures of attention.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Params, Reply } from "../../protocol/requests";
import { decode } from "../../protocol/safetensors";
import type { FamilyName } from "../../protocol/schema";
import { type PatternMap, type Pictures, patternMapOf, picturesOf } from "../../state/patterns";
import type { Store } from "../../state/store";

/** What was asked for, with what it is of: of anything else it is not shown. */
interface Fetched {
  family: FamilyName;
  of: unknown;
  pictures: Pictures;
}

const ofThis = (fetched: Fetched | null, family: FamilyName, of: unknown): Pictures | null =>
  fetched && fetched.of === of && fetched.family === family ? fetched.pictures : null;

/** A resting pointer asks for the picture under it, a moving one does not. */
const REST_MS = 70;

export function usePatternData(
  store: Store,
  family: FamilyName,
  version: number,
  point: ReadonlySignal<number>,
) {
  const map = useSignal<PatternMap | null>(null);
  const thumbnails = useSignal<Fetched | null>(null);
  const remembered = useSignal<Fetched | null>(null);
  const looked = store.traits._version.value;
  const placed = store.patternsHere.value;

  useEffect(() => {
    if (looked > 0) store.request("place_heads", {});
  }, [store, looked, version]);
  useEffect(() => {
    const abort = new AbortController();
    fetchInto(store, "pattern_map", { family }, abort.signal, (view) => {
      map.value = patternMapOf(family, decode(view));
    });
    return () => abort.abort();
  }, [store, family, version]);
  useEffect(() => {
    if (!placed) return;
    const abort = new AbortController();
    fetchInto(store, "pattern_thumbnails", { family }, abort.signal, (view) => {
      thumbnails.value = { family, of: placed, pictures: picturesOf(decode(view)) };
    });
    return () => abort.abort();
  }, [store, family, placed]);
  useEffect(() => {
    const index = point.value;
    if (index < 0) return;
    const abort = new AbortController();
    const rest = setTimeout(() => {
      fetchInto(store, "pattern_at", { family, index }, abort.signal, (view) => {
        remembered.value = { family, of: index, pictures: picturesOf(decode(view)) };
      });
    }, REST_MS);
    return () => {
      clearTimeout(rest);
      abort.abort();
    };
  }, [store, family, point.value]);

  return {
    map: map.value,
    placed,
    /** Of this image's heads. */
    thumbnails: ofThis(thumbnails.value, family, placed),
    /** Of the point under the pointer. */
    remembered: ofThis(remembered.value, family, point.value),
  };
}

type PatternMethod = "pattern_map" | "pattern_thumbnails" | "pattern_at";

function fetchInto<M extends PatternMethod>(
  store: Store,
  method: M,
  params: Params<M>,
  signal: AbortSignal,
  take: (buffer: Reply<M>["buffer"]) => void,
): void {
  store.requests.ask(method, params, signal).then(
    ({ buffer }) => {
      if (!signal.aborted) take(buffer);
    },
    () => undefined, // given up, or not there yet: it is asked for again when it is
  );
}
