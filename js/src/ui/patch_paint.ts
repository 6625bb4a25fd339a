// The picture with the attention of a token over it.

import { boxOfPatch } from "../draw/area";
import type { Heatmap } from "../draw/heatmap";
import type { ModelInfo } from "../protocol/schema";
import type { Store } from "../state/store";
import { paintOverlay } from "./paint_overlay";

/** Picture, map and the outline of the patch that is asked about. */
export function paintPicture(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  store: Store,
  info: ModelInfo,
  picture: ImageBitmap | null,
  map: Heatmap | null,
): void {
  paintOverlay(context, width, height, store, info.area, picture, map);
  outline(context, width, height, info, store.traits.selected_token.value, 3);
  const hovered = store.hovered.value;
  if (hovered !== null) outline(context, width, height, info, hovered, 2);
}

function outline(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  info: ModelInfo,
  token: number,
  thickness: number,
): void {
  const patch = token - info.prefix.length;
  if (patch < 0) return;
  const { x, y, width: w, height: h } = boxOfPatch(info, patch, width, height);
  context.lineWidth = thickness;
  context.strokeStyle = "black";
  context.strokeRect(x - 1, y - 1, w + 2, h + 2);
  context.lineWidth = thickness / 2;
  context.strokeStyle = "white";
  context.strokeRect(x - 1, y - 1, w + 2, h + 2);
}
