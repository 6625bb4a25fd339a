// The picture with the map of one layer over it.

import type { ModelInfo } from "../../protocol/schema";
import { explanationMap } from "../../state/maps";
import type { Store } from "../../state/store";
import { paintOverlay } from "../../ui/paint_overlay";

export function paintLayer(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  store: Store,
  info: ModelInfo,
  picture: ImageBitmap | null,
  layer: number,
): void {
  const map = explanationMap(store, info, layer);
  paintOverlay(context, width, height, store, info.area, picture, map);
}
