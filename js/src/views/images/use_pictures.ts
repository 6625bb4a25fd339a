// Small pictures of the images in sight, once there are few enough of them: asked for as the map
// rests, some at a time, so that clicks come between.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { pixelsOf } from "../../draw/thumbnails";
import { decode, type Tensor } from "../../protocol/safetensors";
import type { StoredPictures } from "../../protocol/schema";
import type { Store } from "../../state/store";
import type { Cloud } from "../../state/stored";
import type { Zoom } from "../../ui/use_zoom";

const RESTS = 150;
/** Up to so many images in sight are shown by their pictures. */
const FEW = 120;
/** As the kernel takes them. */
const AT_ONCE = 16;
/** So many are kept at the most, the latest ones. */
const KEPT = 400;

export type Pictures = ReadonlyMap<number, HTMLCanvasElement>;

export function usePictures(
  store: Store,
  wanted: boolean,
  cloud: Cloud,
  zoom: Zoom,
  inSight: () => number[],
): Signal<Pictures> {
  const pictures = useSignal<Pictures>(new Map());
  const view = zoom.view.value;
  useEffect(() => {
    if (!wanted || store.saved) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      const images = inSight();
      if (images.length > FEW) return;
      const missing = images.filter((image) => !pictures.peek().has(image));
      for (let from = 0; from < missing.length && !abort.signal.aborted; from += AT_ONCE) {
        const some = missing.slice(from, from + AT_ONCE);
        try {
          const { buffer } = await store.requests.ask(
            "stored_pictures",
            { images: some },
            abort.signal,
          );
          const { thumbnails, images: of } = decode<StoredPictures, unknown>(buffer).tensors;
          const added = [...of.data].map((image, i) => [image, drawn(thumbnails, i)] as const);
          pictures.value = new Map([...pictures.peek(), ...added].slice(-KEPT));
        } catch {
          return; // dots stand without pictures
        }
      }
    }, RESTS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [store, wanted, cloud, view, pictures]);
  return pictures;
}

function drawn(thumbnails: Tensor, index: number): HTMLCanvasElement {
  const pixels = pixelsOf(thumbnails, index);
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return canvas;
}
