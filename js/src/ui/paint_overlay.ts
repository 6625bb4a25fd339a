// A map alone, or over the picture, in the colors that the user chose.

import { type Area, boxOfPatches } from "../draw/area";
import { type Box, type Heatmap, paintMap } from "../draw/heatmap";
import type { Store } from "../state/store";

/** A map with nothing below it. */
export function paintPlain(
  context: CanvasRenderingContext2D,
  box: Box,
  store: Store,
  map: Heatmap,
  opacity = 1,
): void {
  const { colormap, interpolation } = store.traits;
  const style = { colormap: colormap.value, interpolation: interpolation.value, opacity };
  paintMap(context, map, style, box);
}

/** The picture with the map over it, as far as they are there; a map lies on `area`, unless it says otherwise. */
export function paintOverlay(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  store: Store,
  area: Area,
  picture: ImageBitmap | null,
  map: Heatmap | null,
): void {
  if (picture) context.drawImage(picture, 0, 0, width, height);
  if (!map) return;
  const { colormap, interpolation, opacity } = store.traits;
  const style = {
    colormap: colormap.value,
    interpolation: interpolation.value,
    opacity: opacity.value,
    see_through: true,
  };
  paintMap(context, map, style, boxOfPatches(map.area ?? area, width, height));
}
