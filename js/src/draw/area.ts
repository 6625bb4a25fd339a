// Where patches lie on the picture: a model may pad it, or leave out its edge.

import type { ModelInfo } from "../protocol/schema";
import type { Box } from "./heatmap";

/** Top, left, bottom and right as shares of the picture. */
export type Area = Readonly<ModelInfo["area"]>;

/** The box that all patches fill where the picture fills `width` x `height`. */
export function boxOfPatches(area: Area, width: number, height: number): Box {
  const [top = 0, left = 0, bottom = 1, right = 1] = area;
  return {
    x: left * width,
    y: top * height,
    width: (right - left) * width,
    height: (bottom - top) * height,
  };
}

/** The box of the whole picture where all patches fill `width` x `height`. */
export function boxOfPicture(area: Area, width: number, height: number): Box {
  const { x, y, width: w, height: h } = boxOfPatches(area, 1, 1);
  return { x: (-x / w) * width, y: (-y / h) * height, width: width / w, height: height / h };
}

/** The box of one patch, by its number. */
export function boxOfPatch(info: ModelInfo, patch: number, width: number, height: number): Box {
  const all = boxOfPatches(info.area, width, height);
  const [w, h] = [all.width / info.cols, all.height / info.rows];
  const [col, row] = [patch % info.cols, Math.floor(patch / info.cols)];
  return { x: all.x + col * w, y: all.y + row * h, width: w, height: h };
}

/** Row and column of the patch at a place, given in shares of the picture; the next one beyond. */
export function patchAt(info: ModelInfo, x: number, y: number): { row: number; col: number } {
  const all = boxOfPatches(info.area, 1, 1);
  const clamp = (share: number, count: number) =>
    Math.max(0, Math.min(count - 1, Math.floor(share * count)));
  return {
    row: clamp((y - all.y) / all.height, info.rows),
    col: clamp((x - all.x) / all.width, info.cols),
  };
}
