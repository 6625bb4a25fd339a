// Pictures as the model sees them: the one that is looked at, and those of the image set.

import { effect, type Signal, signal } from "@preact/signals";
import type { Store } from "./store";

/** A JPEG or PNG file, decoded. */
async function decoded(file: DataView): Promise<ImageBitmap> {
  const bytes = new Uint8Array(file.buffer as ArrayBuffer, file.byteOffset, file.byteLength);
  return createImageBitmap(new Blob([bytes]));
}

const shown = new WeakMap<Store, Signal<ImageBitmap | null>>();

/** The picture that is looked at, shared by all views; null until it is there. */
export function pictureOf(store: Store): Signal<ImageBitmap | null> {
  const kept = shown.get(store);
  if (kept) return kept;
  const picture = signal<ImageBitmap | null>(null);
  shown.set(store, picture);
  effect(() => {
    const file = store.traits._picture.value;
    if (!file || file.byteLength === 0) return;
    decoded(file).then(
      (bitmap) => {
        if (store.traits._picture.peek() === file) picture.value = bitmap;
      },
      () => undefined, // what cannot be decoded is not shown
    );
  });
  return picture;
}

/** So many pictures of a set are kept at the most. */
const KEPT = 100;

/** Pictures of one model's image set, the longest known first. */
interface Album {
  model: string;
  pictures: Map<number, Signal<ImageBitmap | null>>;
  /** The last of those that are asked for one after another. */
  last: Promise<void>;
}

const albums = new WeakMap<Store, Album>();

function albumOf(store: Store): Album {
  const model = store.info.peek()?.name ?? "";
  const kept = albums.get(store);
  if (kept?.model === model) return kept;
  const album: Album = { model, pictures: new Map(), last: Promise.resolve() };
  albums.set(store, album);
  return album;
}

function pictureIn({ pictures }: Album, image: number): Signal<ImageBitmap | null> {
  const kept = pictures.get(image);
  if (kept) return kept;
  const picture = signal<ImageBitmap | null>(null);
  pictures.set(image, picture);
  for (const oldest of pictures.keys()) {
    if (pictures.size <= KEPT) break;
    pictures.delete(oldest);
  }
  return picture;
}

/** Asks for a picture of the set unless it is there; what fails leaves it out until it is asked again. */
async function fill(
  store: Store,
  picture: Signal<ImageBitmap | null>,
  image: number,
  wanted?: AbortSignal,
): Promise<void> {
  if (picture.peek()) return;
  try {
    const { buffer } = await store.requests.ask("image", { index: image }, wanted);
    picture.value = await decoded(buffer);
  } catch {
    // a map stands without its picture, a thumbnail stays as it is
  }
}

/** A picture of the set if it is there already. */
export function knownPicture(store: Store, image: number): ImageBitmap | null {
  return albumOf(store).pictures.get(image)?.peek() ?? null;
}

/** A picture of the set at once, null where it cannot be had or is no longer wanted. */
export async function askPicture(
  store: Store,
  image: number,
  wanted: AbortSignal,
): Promise<ImageBitmap | null> {
  const picture = pictureIn(albumOf(store), image);
  await fill(store, picture, image, wanted);
  return wanted.aborted ? null : picture.peek();
}

/** A picture of the set, null until it is there: asked for in turn, so that clicks come between. */
export function setPicture(store: Store, image: number): Signal<ImageBitmap | null> {
  const album = albumOf(store);
  const picture = pictureIn(album, image);
  if (!picture.peek()) album.last = album.last.then(() => fill(store, picture, image));
  return picture;
}
