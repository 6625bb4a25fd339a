// Pictures of the image set, asked for one after another, so that clicks are answered between them.

import { type Signal, signal } from "@preact/signals";
import type { Store } from "./store";

interface Kept {
  model: string;
  pictures: Map<number, Signal<ImageBitmap | null>>;
  last: Promise<void>;
}

const kept = new WeakMap<Store, Kept>();

/** The picture of an image of the set as the model sees it; null until it is there. */
export function setPicture(store: Store, image: number): Signal<ImageBitmap | null> {
  const model = store.info.peek()?.name ?? "";
  let mine = kept.get(store);
  if (mine?.model !== model) {
    mine = { model, pictures: new Map(), last: Promise.resolve() };
    kept.set(store, mine);
  }
  const known = mine.pictures.get(image);
  if (known) return known;
  const picture = signal<ImageBitmap | null>(null);
  mine.pictures.set(image, picture);
  mine.last = mine.last.then(async () => {
    try {
      const { buffer: bytes } = await store.requests.ask("image", { index: image });
      const copy = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
      picture.value = await createImageBitmap(new Blob([copy]));
    } catch {
      mine.pictures.delete(image); // the map stands without its picture; later it is asked for again
    }
  });
  return picture;
}
