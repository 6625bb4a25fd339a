// The picture that the model sees, decoded once and shared by all views.

import { effect, type Signal, signal } from "@preact/signals";
import type { Store } from "./store";

const pictures = new WeakMap<Store, Signal<HTMLImageElement | null>>();

/** The decoded picture, null until it is there. */
export function pictureOf(store: Store): Signal<HTMLImageElement | null> {
  const known = pictures.get(store);
  if (known) return known;
  const shown = signal<HTMLImageElement | null>(null);
  pictures.set(store, shown);
  effect(() => {
    const bytes = store.traits._picture.value;
    if (!bytes || bytes.byteLength === 0) return;
    const copy = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    const url = URL.createObjectURL(new Blob([copy]));
    const image = new Image();
    image.onload = () => {
      shown.value = image;
      URL.revokeObjectURL(url);
    };
    image.src = url;
  });
  return shown;
}
